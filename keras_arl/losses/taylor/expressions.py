"""Taylor losses as readable text and as LaTeX."""

from keras_arl.losses.taylor import polynomial


def expression(
    coefficients,
    center,
    order,
    style="text",
    class_aware=False,
    shifted=False,
    changes=(),
    third_variable=("x", ""),
):
    """The polynomial as readable text or as LaTeX. See `TaylorLoss`.

    With `changes` it is that of a `ChangingTaylorLoss`.
    """
    if style not in ("text", "latex"):
        raise ValueError(
            f"`style` must be 'text' or 'latex'. Received: style={style!r}"
        )
    latex = style == "latex"
    p = _shifted("u_c" if class_aware else "p_c", center[0], latex)
    y = _shifted("y_c", center[1], latex)
    symbol, meaning = third_variable
    x = _shifted(symbol, polynomial.MIDDLE, latex)
    triples = [(i, j, 0) for i, j in polynomial.exponents(order)]
    thetas = [*coefficients]
    if len(changes):
        triples = [*triples, *polynomial.change_exponents(order)]
        thetas = [*thetas, *changes]
    body = _sum_of_terms(thetas, triples, (p, y, x), latex)
    constant = "L_0 + " if shifted else ""
    body = rf"\left[ {body} \right]" if latex else f"[ {body} ]"
    if not class_aware:
        total = r"\sum_c" if latex else "sum_c"
        parts = [f"L = {constant}{total} {body}"]
    elif latex:
        parts = [
            rf"L = {constant}\frac{{1}}{{q}} \sum_c w_c {body}",
            "u_c = p_c^q",
            r"q = \frac{\log 2}{\log K}",
            r"w_c = y_c + \frac{1 - y_c}{K - 1}",
            rf"K = \max(C, {polynomial.FEWEST_CLASSES})",
        ]
    else:
        parts = [
            f"L = {constant}1/q sum_c w_c {body}",
            "u_c = p_c^q",
            "q = log 2 / log K",
            "w_c = y_c + (1 - y_c) / (K - 1)",
            f"K = max(C, {polynomial.FEWEST_CLASSES})",
        ]
    if len(changes):
        meaning = meaning.format(u="u" if class_aware else "p")
        text = rf"\text{{{meaning}}}".replace("_", r"\_") if latex else meaning
        parts.append(f"{symbol} = {text}")
    if shifted:
        parts.append(r"L = 0 \text{ at } p = y" if latex else "L = 0 at p = y")
    return (r", \quad " if latex else ", ").join(parts)


def memory_expression(
    base, order, center, class_aware, style, changes, weight, beta, power, start
):
    """The loss of a `TaylorMemory` as readable text or as LaTeX.

    Args:
        base: The expression of its loss without memory.
        order: The order of that loss; of no interest without changes.
        center: The centre of that loss.
        class_aware: Whether that loss is.
        style: `"text"` or `"latex"`.
        changes: The terms that depend on the memory.
        weight: As in `TaylorMemory`.
        beta: As in `TaylorMemory`.
        power: As in `TaylorMemory`.
        start: As in `TaylorMemory`.
    """
    latex = style == "latex"
    parts = [base]
    if len(changes):
        bases = (
            _shifted("u_c" if class_aware else "p_c", center[0], latex),
            _shifted("y_c", center[1], latex),
            _shifted("v_c" if class_aware else "t_c", polynomial.MIDDLE, latex),
        )
        body = _sum_of_terms(
            changes, polynomial.change_exponents(order), bases, latex
        )
        parts.append(
            rf"\text{{plus, within the sum, }} {body}"
            if latex
            else f"plus, within the sum, {body}"
        )
        if class_aware:
            parts.append("v_c = t_c^q")
    w, g, b, rest = (
        _number(value, latex) for value in (weight, power, beta, 1 - beta)
    )
    if latex:
        parts.append(
            rf"\text{{plus }} {w} \left( \max_c t_c \right)^{{{g}}} "
            r"\log \left( 1 - \sum_c t_c p_c \right)"
        )
        parts.append(rf"t_c \leftarrow {b}\, t_c + {rest}\, p_c")
    else:
        parts.append(f"plus {w} (max_c t_c)^{g} log(1 - sum_c t_c p_c)")
        parts.append(f"t_c <- {b} t_c + {rest} p_c")
    first = _number(start, latex)
    parts.append(
        rf"t_c = {first} / C \text{{ at first}}"
        if latex
        else f"t_c = {first} / C at first"
    )
    return (r", \quad " if latex else ", ").join(parts)


def _sum_of_terms(thetas, exponents_of, bases, latex):
    """A sum of products of powers; terms with coefficient zero are left out."""
    terms = []
    for theta, powers in zip(thetas, exponents_of, strict=True):
        if theta == 0:
            continue
        sign = "-" if theta < 0 else "+"
        factors = [] if abs(theta) == 1 else [_number(abs(theta), latex)]
        factors += [
            _power(base, power, latex)
            for base, power in zip(bases, powers, strict=True)
            if power
        ]
        terms.append((sign, (r"\," if latex else " ").join(factors)))
    if not terms:
        return "0"
    (sign, first), rest = terms[0], terms[1:]
    body = ("-" if sign == "-" else "") + first
    return body + "".join(f" {sign} {term}" for sign, term in rest)


def _shifted(symbol, shift, latex):
    if shift == 0:
        return symbol
    sign = "-" if shift > 0 else "+"
    return f"({symbol} {sign} {_number(abs(shift), latex)})"


def _power(base, exponent, latex):
    if exponent == 1:
        return base
    return f"{base}^{{{exponent}}}" if latex else f"{base}^{exponent}"


def _number(value, latex):
    text = f"{value:.6g}"
    if latex and "e" in text:
        mantissa, exponent = text.split("e")
        return rf"{mantissa} \cdot 10^{{{int(exponent)}}}"
    return text
