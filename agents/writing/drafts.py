"""A draft: the lines that a model writes, each with the numbers of the passages that it cites.

A grammar holds a line to its form: a model may write any words, but no line without a citation of a passage that it was
shown. An endpoint that knows no grammars may write running text, so a draft is read tolerantly. Nothing here trusts a
line: `agents.writing.checking` holds each against its passages.
"""

import re
from dataclasses import dataclass
from typing import Any

from agents.answer import Form
from agents.prompting.constraints import NONE, Inputs
from agents.writing.numbered import CODE, code_names, passage_numbers
from lakehouse.text.sentences import sentences

MAX_LINES = 40  # of a list that a model writes in one call
_CITED = re.compile(r"\s*\[(\d{1,3})\]")
_CITATIONS = re.compile(r"(?:\s*\[\d{1,3}\])+[.!?。]?|\s*\Z")
_BULLET = re.compile(r"^\s*(?:[-*•]|\d{1,2}[.)])\s+")
_CODE_LINE = re.compile(rf"^\W*({CODE} \d{{1,3}})\W*(?:\[\d{{1,3}}\]\W*)*$", re.IGNORECASE)
_FENCED = re.compile(r"^[ \t]*(```.*?^[ \t]*```|~~~.*?^[ \t]*~~~)[ \t]*$", re.MULTILINE | re.DOTALL)
TYPED = "typed"  # in place of a name: code that the model wrote itself
_TOKENS = {"explanation": 220, "steps": 320, "list": 400, "comparison": 320}


@dataclass(frozen=True)
class Line:
    """A line of a draft. `cited`: numbers of passages, from 1; `code`: the name of a code block in place of a text,
    or `TYPED` where the text is one."""

    text: str
    cited: tuple[int, ...] = ()
    code: str = ""


@dataclass(frozen=True)
class CitedLines:
    """Lines that end with citations like `[2]`, or "none". `form` says what a line looks like."""

    form: Form

    @property
    def max_tokens(self) -> int:
        return _TOKENS[self.form]

    def structured_outputs(self, inputs: Inputs) -> dict[str, Any] | None:
        passages = str(inputs["passages"])
        numbers, codes = passage_numbers(passages), code_names(passages)
        if not numbers:
            return None
        rules = [
            f'root ::= "{NONE}" | line+',
            f"line ::= {self._line(bool(codes))}",
            r"text ::= [^\[\]|\n]+",
            'cited ::= " [" number "]" (" [" number "]")?',
            f"number ::= {' | '.join(f'"{number}"' for number in numbers)}",
        ]
        if codes:
            rules.append(f"code ::= {' | '.join(f'"{name}"' for name in codes)}")
        return {"grammar": "\n".join(rules)}

    def snap(self, text: str, inputs: Inputs) -> str:
        return NONE if text.strip().strip(".\"'").lower() == NONE else text.strip()

    def _line(self, with_code: bool) -> str:
        if self.form == "comparison":
            return r'"| " text " | " text " | " text " |" cited "\n"'
        begin = {"list": '"- " ', "steps": '[1-9] [0-9]? ". " '}.get(self.form, "")
        written = rf'{begin}text cited "\n"'
        return rf'{written} | code "\n"' if with_code and self.form == "steps" else written


def read_draft(draft: str, form: Form) -> list[Line]:
    """The lines of a draft without repeats; the cells of a comparison's row are divided by ` | `. "none" has no lines.

    The last line is left out where it was cut off before its citation.
    """
    lines: list[Line] = []
    if draft != NONE:
        for number, part in enumerate(_FENCED.split(draft)):
            is_code = number % 2 == 1
            lines += [Line(part, code=TYPED)] if is_code else _read(part, form)
    if len(lines) > 1 and not lines[-1].cited and not lines[-1].code:
        lines.pop()
    return list(dict.fromkeys(lines))[:MAX_LINES]


def _read(part: str, form: Form) -> list[Line]:
    lines: list[Line] = []
    for raw in filter(None, map(str.strip, part.splitlines())):
        if form == "comparison" and raw.startswith("|"):
            lines += _row(raw)
        elif match := _CODE_LINE.match(raw):
            lines.append(Line("", code=match.group(1).lower()))
        else:
            lines += _sentences(_BULLET.sub("", raw), is_prose=form == "explanation")
    return lines


def _sentences(raw: str, *, is_prose: bool) -> list[Line]:
    """What stands before each group of citations; of prose, each sentence of it: the citations are for all of them."""
    lines: list[Line] = []
    begin = 0
    for citations in _CITATIONS.finditer(raw):
        text, begin = raw[begin : citations.start()].strip().rstrip(". "), citations.end()
        cited = tuple(dict.fromkeys(map(int, _CITED.findall(citations.group()))))
        lines += [Line(claim.strip(), cited) for claim in (sentences(text) if is_prose else [text] if text else [])]
    return lines


def _row(raw: str) -> list[Line]:
    """A row of a table as one line; none for a header, for the rule below it, and for a row without citations."""
    cited = tuple(dict.fromkeys(map(int, _CITED.findall(raw))))
    cells = [cell.strip() for cell in _CITED.sub("", raw).strip().strip("|").split("|")]
    cells = cells if cells[-1].strip(" .") else cells[:-1]
    return [Line(" | ".join(cells), cited)] if len(cells) > 1 and cited else []
