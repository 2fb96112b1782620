"""Equations of Office files (OMML) as LaTeX."""

from collections.abc import Callable

from lxml import etree

M = "{http://schemas.openxmlformats.org/officeDocument/2006/math}"
_SIGNS = {"∑": r"\sum", "∏": r"\prod", "∫": r"\int", "∬": r"\iint", "∮": r"\oint", "⋃": r"\bigcup", "⋂": r"\bigcap"}


def latex(element: etree._Element) -> str:
    """An `m:oMath` element, or a part of one, as LaTeX without its dollar signs."""
    if element.tag == f"{M}t":
        return element.text or ""
    writer = _WRITERS.get(str(element.tag).removeprefix(M))
    if writer is not None:
        return writer(element)
    return "".join(latex(child) for child in element if isinstance(child.tag, str) and child.tag.startswith(M))


def _part(element: etree._Element, name: str) -> str:
    part = element.find(M + name)
    return "" if part is None else latex(part).strip()


def _setting(element: etree._Element, name: str, default: str) -> str:
    setting = element.find(f"{M}{str(element.tag).removeprefix(M)}Pr/{M}{name}")
    return default if setting is None else setting.get(f"{M}val", "")


def _raised(sign: str, text: str) -> str:
    return f"{sign}{{{text}}}" if text else ""


def _root(element: etree._Element) -> str:
    degree = _part(element, "deg")
    return rf"\sqrt{f'[{degree}]' if degree else ''}{{{_part(element, 'e')}}}"


def _brackets(element: etree._Element) -> str:
    inner = _setting(element, "sepChr", "|").join(latex(part) for part in element.iterfind(f"{M}e"))
    return f"{_setting(element, 'begChr', '(')}{inner}{_setting(element, 'endChr', ')')}"


def _large_sign(element: etree._Element) -> str:
    sign = _setting(element, "chr", "∫")
    limits = _raised("_", _part(element, "sub")) + _raised("^", _part(element, "sup"))
    return f"{_SIGNS.get(sign, sign)}{limits} {_part(element, 'e')}"


def _matrix(element: etree._Element) -> str:
    rows = (" & ".join(latex(cell) for cell in row.iterfind(f"{M}e")) for row in element.iterfind(f"{M}mr"))
    return rf"\begin{{matrix}} {r' \\ '.join(rows)} \end{{matrix}}"


_WRITERS: dict[str, Callable[[etree._Element], str]] = {
    "f": lambda one: rf"\frac{{{_part(one, 'num')}}}{{{_part(one, 'den')}}}",
    "sSup": lambda one: _part(one, "e") + _raised("^", _part(one, "sup")),
    "sSub": lambda one: _part(one, "e") + _raised("_", _part(one, "sub")),
    "sSubSup": lambda one: _part(one, "e") + _raised("_", _part(one, "sub")) + _raised("^", _part(one, "sup")),
    "sPre": lambda one: _raised("_", _part(one, "sub")) + _raised("^", _part(one, "sup")) + _part(one, "e"),
    "limLow": lambda one: _part(one, "e") + _raised("_", _part(one, "lim")),
    "limUpp": lambda one: _part(one, "e") + _raised("^", _part(one, "lim")),
    "func": lambda one: f"{_part(one, 'fName')} {_part(one, 'e')}",
    "rad": _root,
    "d": _brackets,
    "nary": _large_sign,
    "m": _matrix,
}
