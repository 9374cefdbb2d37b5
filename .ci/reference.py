"""Builds the API reference: a page for each room of the package.

    python .ci/reference.py [DIRECTORY]

The pages come from the docstrings, by pdoc. A formula stands in a docstring as
a fenced block of plain text, which reads well in a terminal; here it becomes
TeX, which MathJax shows. A warning, or a public name without a place, ends the
build with an error.
"""

import html
import inspect
import pathlib
import re
import sys
import textwrap
import warnings

_FORMULA = re.compile(r"^( *)```\n(.*?)^ *```$", re.DOTALL | re.MULTILINE)
_GREEK = {"alpha", "beta", "gamma", "theta", "lambda", "tau", "phi"}
_FUNCTIONS = {"exp", "inf", "log", "max", "min"}
_SYMBOLS = {
    "<-": r"\leftarrow ",
    "->": r"\to ",
    ">=": r"\geq ",
    "<=": r"\leq ",
    "!=": r"\neq ",
    "..": r",\ldots,",
    "*": r"\cdot ",
    "|": r"\vert ",
}
_TOKEN = re.compile(r"`\w+`|[A-Za-z]\w*|\d+(?:\.\d+)?|<-|->|[<>!]=|\.\.|\s+|.")
# More spaces than that set a remark apart.
_COMMENT = 6
_RANGE = re.compile(r"\b(sum|max|min) over (.*?) of\b")


def to_tex(formula):
    """The lines of a formula in plain text as TeX, a list of strings."""
    formula = textwrap.dedent(formula).strip("\n")
    # A line that is indented continues the one before, but for further cases.
    formula = re.sub(
        r"\n +(?!.*\belsewhere$)", " ", formula, flags=re.MULTILINE
    )
    return [_tex(line.strip()) for line in formula.split("\n")]


def _tex(text):
    """A formula of one line as TeX."""
    text = text.replace("infimum of", "inf")
    tex, position = "", 0
    while position < len(text):
        if found := _RANGE.match(text, position):
            tex += rf"\{found[1]}_{{{_tex(found[2])}}} "
            position = found.end()
            continue
        token = _TOKEN.match(text, position)[0]
        position += len(token)
        if token.isspace():
            tex += _space(token, tex, text[position:])
        elif token[-1] in "_^" and text[position : position + 1] == "(":
            # The parentheses of an index or exponent are not shown.
            end = _closing(text, position)
            inner = _tex(text[position + 1 : end])
            tex += f"{_word(token[:-1])}{token[-1]}{{{inner}}}"
            position = end + 1
        elif token[0].isalpha() or token[0] == "`":
            tex += _word(token.strip("`"))
        else:
            tex += _SYMBOLS.get(token, token)
    return tex.strip()


def _space(token, before, after):
    """The space between words counts, that between symbols does not."""
    if len(token) > _COMMENT:
        return r"\qquad "
    follows = _TOKEN.match(after)
    if follows and (follows[0][0].isalnum() or follows[0][0] == "`"):
        is_text = _word(follows[0]).startswith(r"\mathrm")
        if re.search(r"mathrm{[^}]*}$" + r"|[\w})]$" * is_text, before):
            return "~"
    return " "


def _closing(text, start):
    """Where the parenthesis at a position is closed."""
    depth = 0
    for position in range(start, len(text)):
        depth += {"(": 1, ")": -1}.get(text[position], 0)
        if depth == 0:
            return position
    raise ValueError(f"A parenthesis is not closed: {text!r}")


def _word(word):
    """A variable with its index, a function, or a word of text, as TeX."""
    base, _, index = word.partition("_")
    if base in _FUNCTIONS | _GREEK:
        tex = rf"\{base}" + ("" if index else " ")
    elif len(base) <= 1:
        tex = base
    elif re.fullmatch(r"[A-Za-z]\d", base):
        tex = f"{base[0]}_{{{base[1]}}}"
    else:
        return rf"\mathrm{{{word.replace('_', chr(92) + '_')}}}"
    if len(index) == 2 and index.isalpha():
        return f"{tex}_{{{index}}}"
    return tex + (f"_{{{_tex(index)}}}" if index else "")


def formulas(docstring):
    """The formulas of a docstring, as matches whose group 2 is the text."""
    return _FORMULA.finditer(docstring)


def with_tex(docstring):
    """A docstring whose formulas are TeX in HTML, which Markdown leaves."""

    def replace(match):
        lines = (f"$${html.escape(line)}$$" for line in to_tex(match[2]))
        return f"{match[1]}<div>{' '.join(lines)}</div>\n"

    return _FORMULA.sub(replace, inspect.cleandoc(docstring))


def main(directory):
    """Writes the pages into a directory."""
    import pdoc

    import keras_arl

    rooms = [getattr(keras_arl, name) for name in keras_arl.__all__]
    rooms = [room for room in rooms if inspect.ismodule(room)]
    for room in rooms:
        for name in room.__all__:
            # What is imported at its first use; pdoc looks into `__dict__`.
            setattr(room, name, getattr(room, name))
    public = {id(x): x for r in rooms for x in map(r.__dict__.get, r.__all__)}
    for thing in public.values():
        if inspect.isclass(thing) or inspect.isfunction(thing):
            thing.__doc__ = with_tex(thing.__doc__)
    warnings.simplefilter("error")
    pdoc.render.configure(docformat="google", math=True)
    # Modules within a room are private.
    pdoc.pdoc("keras_arl", r"!keras_arl\.\w+\.", output_directory=directory)
    for room in [keras_arl, *rooms]:
        page = pathlib.Path(directory, *room.__name__.split("."))
        text = page.with_suffix(".html").read_text()
        for name in room.__all__:
            if f'id="{name}"' not in text and f"{name}.html" not in text:
                sys.exit(f"{room.__name__}.{name} is not in {page}.html")
    print(f"Written to {directory}/index.html")


if __name__ == "__main__":
    main(pathlib.Path(*sys.argv[1:2] or ["build/reference"]))
