"""The structure of Markdown: its top-level blocks, headings, code and front matter, with offsets into the text."""

import re
from dataclasses import dataclass, field

from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock

LINE_END = re.compile(r"\r\n?|\n")
# YAML between two rules, which Markdown would read as a line and a heading.
_FRONT_MATTER = re.compile(r"\A---[ \t]*\r?\n(?=[\w-]+[ \t]*:)(?:.*\r?\n){1,100}?---[ \t]*(?:\r?\n|\Z)")

# Link definitions count as text here, and the rule that finds them takes quadratic time for many in a row.
_MARKDOWN = MarkdownIt("commonmark").enable("table").disable("reference")
_MARKDOWN.core.ruler.enableOnly(["normalize", "block"])
# A line of these characters makes the line before it a heading, or the header of a table.
_UNDERLINE = re.compile(r"[-=|:\s]*")


def _paragraph(state: StateBlock, start_line: int, end_line: int, silent: bool) -> bool:
    """A fast rule for paragraphs that begin with a letter, as most lines of text do; it runs before all other rules.

    Only a table and an underlined heading also begin with a letter; for these the rule gives way to theirs. No line
    that begins with a letter ends a paragraph. So most lines are parsed without trying any other rule.
    """
    source, starts, indents, columns = state.src, state.bMarks, state.tShift, state.sCount
    if columns[start_line] - state.blkIndent > 3 or not source[starts[start_line] + indents[start_line]].isalpha():
        return False
    terminators = state.md.block.ruler.getRules("paragraph")
    outer, state.parentType = state.parentType, "paragraph"
    line = start_line + 1
    while line < state.lineMax and not state.isEmpty(line):
        first = starts[line] + indents[line]
        if not source[first].isalpha() and 0 <= columns[line] <= state.blkIndent + 3:
            if _UNDERLINE.fullmatch(source, first, state.eMarks[line]):
                state.parentType = outer
                return False
            if any(rule(state, line, state.lineMax, True) for rule in terminators):
                break
        line += 1
    state.line = line
    state.push("text", "", 0).map = [start_line, line]
    state.parentType = outer
    return True


_MARKDOWN.block.ruler.before("table", "plain_paragraph", _paragraph)


@dataclass(frozen=True)
class Block:
    """A top-level block and the blank lines after it, as offsets of characters.

    `items`: starts of its list items. `rows`: start of the rows below the header of a table; 0: no table.
    """

    start: int
    end: int
    level: int = 0  # 1 to 6 for a heading; 0: no heading
    heading: str = ""
    items: list[int] = field(default_factory=list)
    rows: int = 0


def first_heading(text: str) -> str | None:
    """Text of the first heading outside code and quotes; None for a text without headings."""
    return next((block.heading for block in blocks(text) if block.heading), None)


def front_matter(text: str) -> str:
    """The YAML between two rules at the top, with the rules; empty for a text without front matter."""
    match = _FRONT_MATTER.match(text)
    return match[0] if match else ""


def code_spans(text: str) -> list[tuple[int, int]]:
    """Start and end of each code block, whole lines, in order."""
    skipped = len(front_matter(text))
    starts = [skipped, *[match.end() for match in LINE_END.finditer(text, skipped)], len(text)]
    code = (token.map for token in _MARKDOWN.parse(text[skipped:]) if token.type in ("fence", "code_block"))
    return [(starts[lines[0]], starts[min(lines[1], len(starts) - 1)]) for lines in code if lines]


def blocks(text: str) -> list[Block]:
    """Top-level blocks, without gaps, from the first character to the last."""
    skipped = len(front_matter(text))
    line_starts = [skipped, *[match.end() for match in LINE_END.finditer(text, skipped)]]

    def offset(line: int) -> int:
        start = line_starts[line] if line < len(line_starts) else len(text)
        while start < len(text) and text[start].isspace():
            start += 1
        return start

    openings: list[tuple[int, int, str, list[int], int]] = [(0, 0, "", [], 0)] if skipped else []
    tokens = _MARKDOWN.parse(text[skipped:])
    for number, token in enumerate(tokens):
        if token.map is None or token.level > 1:
            continue
        start = offset(token.map[0])
        if token.level == 0:
            level = int(token.tag[1]) if token.type == "heading_open" else 0
            rows = offset(token.map[0] + 2) if token.type == "table_open" else 0
            openings.append((start, level, tokens[number + 1].content.strip() if level else "", [], rows))
        elif token.type == "list_item_open":
            openings[-1][3].append(start)
    openings = openings or [(0, 0, "", [], 0)]
    ends = [*[start for start, *_ in openings[1:]], len(text)]
    return [
        Block(start, end, level, heading, items, rows)
        for (start, level, heading, items, rows), end in zip(openings, ends, strict=True)
    ]
