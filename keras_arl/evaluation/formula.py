"""The formula of a Taylor loss in MathML, which browsers render."""

from keras_arl.losses.taylor import polynomial

_MINUS = "&minus;"


def to_mathml(loss):
    """The formula of a `TaylorLoss`, a line for each power of p.

    Args:
        loss: A `keras_arl.losses.TaylorLoss`.

    Returns:
        A string, one `math` element and, where there are definitions, a second
        one with them.
    """
    by_power = {}
    for theta, (i, j) in zip(loss.coefficients, loss.exponents, strict=True):
        if theta != 0:
            by_power.setdefault(i, []).append((theta, j))
    a, b = loss.center
    base = _shifted(_sub("u" if loss.class_aware else "p", "c"), a)
    label = _shifted(_sub("y", "c"), b)
    lines = []
    for i, terms in by_power.items():
        inner = "".join(
            _sign(theta, first=number == 0)
            + _number(abs(theta))
            + (_power(label, j) if j else "")
            for number, (theta, j) in enumerate(terms)
        )
        plus = _mo("+") if lines else ""
        lines.append(f"{plus}{_power(base, i)}{_mo('(')}{inner}{_mo(')')}")
    start = f"<mi>L</mi>{_mo('=')}"
    if loss.shifted:
        start += f"<msub><mi>L</mi><mn>0</mn></msub>{_mo('+')}"
    if loss.class_aware:
        start += "<mfrac><mn>1</mn><mi>q</mi></mfrac>"
    start += f"<munder>{_mo('∑')}<mi>c</mi></munder>"
    if loss.class_aware:
        start += _sub("w", "c")
    rows = [
        f"<mtr><mtd>{start if number == 0 else ''}</mtd><mtd>"
        f"{_mo('[') if number == 0 else ''}{line}"
        f"{_mo(']') if number == len(lines) - 1 else ''}</mtd></mtr>"
        for number, line in enumerate(lines or ["<mn>0</mn>"])
    ]
    table = f"<mtable>{''.join(rows)}</mtable>"
    definitions = [
        *(_CLASS_AWARE if loss.class_aware else ()),
        *([_SHIFTED] if loss.shifted else ()),
    ]
    if not definitions:
        return _math(table)
    return _math(table) + _math("<mspace width='2em'/>".join(definitions))


def _math(content):
    return f'<math display="block">{content}</math>\n'


def _mo(sign):
    return f"<mo>{sign}</mo>"


def _sub(name, index):
    return f"<msub><mi>{name}</mi><mi>{index}</mi></msub>"


def _sign(value, first=False):
    if value < 0:
        return _mo(_MINUS)
    return "" if first else _mo("+")


def _number(value):
    mantissa, _, exponent = f"{value:.4g}".partition("e")
    if not exponent:
        return f"<mn>{mantissa}</mn>"
    power = f"<msup><mn>10</mn><mn>{int(exponent)}</mn></msup>"
    return f"<mn>{mantissa}</mn>{_mo('·')}{power}"


def _shifted(symbol, shift):
    if shift == 0:
        return symbol
    inner = symbol + _sign(-shift) + _number(abs(shift))
    return f"<mrow>{_mo('(')}{inner}{_mo(')')}</mrow>"


def _power(base, exponent):
    return base if exponent == 1 else f"<msup>{base}<mn>{exponent}</mn></msup>"


_SHIFTED = (
    f"<mi>L</mi>{_mo('=')}<mn>0</mn><mtext>&nbsp;at&nbsp;</mtext>"
    f"<mi>p</mi>{_mo('=')}<mi>y</mi>"
)
_CLASS_AWARE = (
    f"{_sub('u', 'c')}{_mo('=')}"
    "<msubsup><mi>p</mi><mi>c</mi><mi>q</mi></msubsup>",
    f"<mi>q</mi>{_mo('=')}<mfrac><mrow><mi>log</mi><mn>2</mn></mrow>"
    "<mrow><mi>log</mi><mi>K</mi></mrow></mfrac>",
    f"{_sub('w', 'c')}{_mo('=')}{_sub('y', 'c')}{_mo('+')}<mfrac><mrow>"
    f"<mn>1</mn>{_mo(_MINUS)}{_sub('y', 'c')}</mrow><mrow><mi>K</mi>"
    f"{_mo(_MINUS)}<mn>1</mn></mrow></mfrac>",
    f"<mi>K</mi>{_mo('=')}<mi>max</mi>{_mo('(')}<mi>C</mi>{_mo(',')}"
    f"<mn>{polynomial.FEWEST_CLASSES}</mn>{_mo(')')}",
)
