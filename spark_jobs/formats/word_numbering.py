"""The automatic numbers of a Word file: `2.2`, `(a)`, `§ 4`. Word computes them; the file holds only their rules."""

from collections.abc import Iterator

from lxml import etree

W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_PLACE = "%"
_ROMAN = ((1000, "m"), (900, "cm"), (500, "d"), (400, "cd"), (100, "c"), (90, "xc"), (50, "l"), (40, "xl"), (10, "x"),
          (9, "ix"), (5, "v"), (4, "iv"), (1, "i"))  # fmt: skip
_MAX_STYLES = 20  # of one based on another; styles of a damaged file may be based on each other


def value(parent: etree._Element | None, path: str) -> str | None:
    """The `w:val` of the element at a path of `w:` names."""
    found = None if parent is None else parent.find("/".join(W + name for name in path.split("/")))
    return None if found is None else found.get(f"{W}val")


class Styles:
    """The paragraph styles of a file, each with what it takes from the styles that it is based on."""

    def __init__(self, root: etree._Element | None) -> None:
        styles = [] if root is None else root.iterfind(f"{W}style")
        self._by_id = {style.get(f"{W}styleId", ""): style for style in styles}

    def chain(self, style_id: str | None) -> Iterator[etree._Element]:
        """The style, then those that it is based on."""
        for _ in range(_MAX_STYLES):
            style = self._by_id.get(style_id or "")
            if style is None:
                return
            yield style
            style_id = value(style, "basedOn")

    def first(self, style_id: str | None, path: str) -> str | None:
        """The value at the path in the style, else in one that it is based on."""
        return next((found for style in self.chain(style_id) if (found := value(style, path)) is not None), None)


class Numbering:
    """Counts numbered paragraphs in the order of the document."""

    def __init__(self, root: etree._Element | None, styles: Styles) -> None:
        self._styles = styles
        elements = [] if root is None else list(root)
        self._abstract = {one.get(f"{W}abstractNumId"): one for one in elements if one.tag == f"{W}abstractNum"}
        self._numbers = {one.get(f"{W}numId"): one for one in elements if one.tag == f"{W}num"}
        self._counts: dict[str | None, dict[int, int]] = {}
        self._seen: set[tuple[str, int]] = set()

    def label(self, paragraph: etree._Element) -> str | None:
        """The number of the next paragraph; None for no number, and for a bullet."""
        properties = paragraph.find(f"{W}pPr")
        style_id = value(properties, "pStyle")
        number_id = value(properties, "numPr/numId") or self._styles.first(style_id, "pPr/numPr/numId")
        number = self._numbers.get(number_id)
        if number is None or number_id is None:
            return None
        abstract_id, levels = self._levels(number)
        depth = self._depth(value(properties, "numPr/ilvl"), style_id, levels)
        if depth not in levels:
            return None
        counts = self._count(number_id, abstract_id, number, depth, levels)
        return self._text(depth, counts, levels)

    def _levels(self, number: etree._Element) -> tuple[str | None, dict[int, etree._Element]]:
        abstract_id = value(number, "abstractNumId")
        abstract = self._abstract.get(abstract_id)
        linked = self._numbers.get(self._styles.first(value(abstract, "numStyleLink"), "pPr/numPr/numId"))
        if linked is not None:
            abstract_id = value(linked, "abstractNumId")
            abstract = self._abstract.get(abstract_id)
        own = number.iterfind(f"{W}lvlOverride/{W}lvl")
        elements = [*([] if abstract is None else abstract.iterfind(f"{W}lvl")), *own]
        return abstract_id, {int(level.get(f"{W}ilvl", "0")): level for level in elements}

    def _depth(self, own: str | None, style_id: str | None, levels: dict[int, etree._Element]) -> int:
        if own is not None:
            return int(own)
        by_style = [depth for depth, level in levels.items() if value(level, "pStyle") == style_id]
        return by_style[0] if by_style and style_id else int(self._styles.first(style_id, "pPr/numPr/ilvl") or 0)

    def _count(
        self,
        number_id: str,
        abstract_id: str | None,
        number: etree._Element,
        depth: int,
        levels: dict[int, etree._Element],
    ) -> dict[int, int]:
        counts = self._counts.setdefault(abstract_id, {})
        start = int(value(levels[depth], "start") or 1)
        for override in number.iterfind(f"{W}lvlOverride"):
            own_start = value(override, "startOverride")
            if own_start is not None and int(override.get(f"{W}ilvl", "0")) == depth:
                start = int(own_start)
                if (number_id, depth) not in self._seen:
                    counts.pop(depth, None)
        self._seen.add((number_id, depth))
        counts[depth] = counts[depth] + 1 if depth in counts else start
        for deeper in [other for other in counts if other > depth]:
            del counts[deeper]
        return counts

    def _text(self, depth: int, counts: dict[int, int], levels: dict[int, etree._Element]) -> str | None:
        kind, text = value(levels[depth], "numFmt"), value(levels[depth], "lvlText") or ""
        if kind in ("bullet", "none") or _PLACE not in text:
            return None
        is_legal = levels[depth].find(f"{W}isLgl") is not None
        for other in sorted(levels, reverse=True):
            count = counts.get(other, int(value(levels[other], "start") or 1))
            shown = _number(count, "decimal" if is_legal else value(levels[other], "numFmt"))
            text = text.replace(f"{_PLACE}{other + 1}", shown)
        return text.strip() or None


def _number(count: int, kind: str | None) -> str:
    if kind in ("lowerLetter", "upperLetter") and 0 < count < 1000:
        text = chr(ord("a") + (count - 1) % 26) * (1 + (count - 1) // 26)
    elif kind in ("lowerRoman", "upperRoman") and 0 < count < 4000:
        text = _roman(count)
    else:
        return f"{count:02}" if kind == "decimalZero" else str(count)
    return text.upper() if kind.startswith("upper") else text


def _roman(count: int) -> str:
    text = ""
    for size, letters in _ROMAN:
        text += letters * (count // size)
        count %= size
    return text
