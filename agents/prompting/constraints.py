"""Constraints of output fields: declared once in the signature, enforced twice.

A small model garbles names when it writes freely, and is exact when it can only copy. So an output field declares its
allowed texts (`Annotated[str, SpanOf("passage")]`); the adapter sends them to vLLM as a grammar, and checks the answer
again, because another endpoint may not know grammars.
"""

import difflib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

from pydantic import BaseModel

from lakehouse.text.folding import FoldedText

Inputs = Mapping[str, Any]
MAX_SPAN_CHARACTERS = 400
NONE = "none"  # an output without an answer
YES, NO = "yes", "no"
MISSING = "missing: "  # before a question that is still unanswered
# A word with the blank after it; one character in scripts without blanks.
_CJK = "\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3"
_WORD = re.compile(rf"(?:[{_CJK}]|[^\s{_CJK}]+)(?:\s+|$)?")
_LINE_END = re.compile(r"[.!?。！？]\s*\n")
# "Can you tell me which …" does not ask for a yes, and "Is A or B older?" asks for a name; German "was" asks what.
_ASKS_YES_OR_NO = re.compile(
    r"(?:^|[.?!]\s)\s*(?:(?:is|are|was(?! (?:ist|sind|kann|muss|soll|wird|macht|bedeutet|brauche|für)\b)|were|do|does|"
    r"did|has|have|had|can|could|will|would|should)\s(?!you\b)(?!.*\bor\b)"
    r"|(?:ist|sind|kann|können|muss|müssen|darf|dürfen|soll|sollte|wird|werden|gibt es|hat (?:der|die|das|eine?|man)|"
    r"braucht|unterstützt)\s(?!.*\boder\b)"
    r"|(?:est-ce que|est-ce qu['’]|peut-on|puis-je|dois-je|y a-t-il|est-il|faut-il)(?!.*\bou\b)"
    r"|(?:¿\s*(?:es|son|está|hay)|¿?(?:puedo|puedes?|se puede|tengo que|necesito|hay que))\s(?!.*\bo\b))",
    re.IGNORECASE | re.DOTALL,
)
_STATED = {
    "+": re.compile(
        r"\b(?:in total|altogether|together|combined|insgesamt|zusammen|en tout|en total)\b", re.IGNORECASE
    ),
    "*": re.compile(r"\b(?:multiplied by|product of|multipliziert mit)\b", re.IGNORECASE),
}
_LENGTHS = ("minLength", "maxLength", "minItems", "maxItems")
_MAX_WORDS = "maxWords"  # not a keyword of JSON schema: other readers ignore it
_WORD_IN_JSON = r'[^ "\\\n]+'
NUMBER = re.compile(r"(?<![\w.])\d+(?:\.\d+)?(?![\w])")


def in_words(most: int) -> dict[str, Any]:
    """`json_schema_extra` of a text field whose grammar ends after `most` words.

    A small model does not end a text by itself. The bound counts words of any length, because compiling a grammar of 16
    words takes 0.1 s, and of a length in characters 1 to 2 s.
    """
    return {_MAX_WORDS: most}


class Constraint(Protocol):
    """The allowed texts of an output field, given the inputs."""

    def structured_outputs(self, inputs: Inputs) -> dict[str, Any] | None:
        """The constraint as vLLM's `structured_outputs`; None where it allows any text."""

    def snap(self, text: str, inputs: Inputs) -> str:
        """The allowed text nearest to the model's; "" when there is none."""


@dataclass(frozen=True)
class SpanOf:
    """Successive words of an input, or "none". The grammar ends the span where a sentence ends its line, or a small
    model would go on to the next line."""

    field: str

    def structured_outputs(self, inputs: Inputs) -> dict[str, Any] | None:
        words = _WORD.findall(str(inputs[self.field]))
        if not words:
            return None
        # Rule i is "word i, and maybe rule i + 1": linear in the text, where a list of all spans is quadratic.
        rules = [f"root ::= {_quoted(NONE)} | {' | '.join(f'w{i}' for i in range(len(words)))}"]
        for i, word in enumerate(words):
            goes_on = i + 1 < len(words) and not _LINE_END.search(word)
            onward = f" | {_quoted(word.rstrip() + ' ' * word[-1].isspace())} w{i + 1}" if goes_on else ""
            rules.append(f"w{i} ::= {_quoted(_bare(word))}{onward}")
        return {"grammar": "\n".join(rules)}

    def snap(self, text: str, inputs: Inputs) -> str:
        passage = " ".join(str(inputs[self.field]).split())
        wanted = " ".join(text.split()).strip(" .\"'")[:MAX_SPAN_CHARACTERS]
        if not wanted or wanted.lower() == NONE:
            return NONE
        searched, sought = FoldedText(passage), FoldedText(wanted).text
        start = searched.text.find(sought) if sought else -1
        if start >= 0:
            return _whole_words(passage, *searched.span(start, start + len(sought)))
        match = difflib.SequenceMatcher(None, passage, wanted, autojunk=False).find_longest_match()
        shared = passage[match.a : match.a + match.size].strip()
        return shared if len(shared) > len(wanted) // 2 else NONE


@dataclass(frozen=True)
class OneLine:
    """Any text of one line."""

    def structured_outputs(self, inputs: Inputs) -> dict[str, Any] | None:
        return {"regex": r"[^\n]+"}

    def snap(self, text: str, inputs: Inputs) -> str:
        return text.strip().partition("\n")[0].strip()


@dataclass(frozen=True)
class OneOf:
    """One of a few fixed texts. Any other text becomes `other`, or the first choice."""

    choices: tuple[str, ...]
    other: str | None = None

    def structured_outputs(self, inputs: Inputs) -> dict[str, Any] | None:
        return {"choice": list(self.choices)}

    def snap(self, text: str, inputs: Inputs) -> str:
        other, answer = self.choices[0] if self.other is None else self.other, text.strip().lower()
        return next((choice for choice in self.choices if answer.startswith(choice.lower())), other)


@dataclass(frozen=True)
class YesNoOr:
    """Yes or no (with `or_none` also "none") where the question in an input asks for that; else `otherwise`."""

    otherwise: Constraint
    question: str = "question"
    or_none: bool = True

    def structured_outputs(self, inputs: Inputs) -> dict[str, Any] | None:
        return self._applying(inputs).structured_outputs(inputs)

    def snap(self, text: str, inputs: Inputs) -> str:
        return self._applying(inputs).snap(text, inputs)

    def _applying(self, inputs: Inputs) -> Constraint:
        if not wants_yes_or_no(str(inputs.get(self.question, ""))):
            return self.otherwise
        return OneOf((YES, NONE, NO), other=NONE) if self.or_none else OneOf((YES, NO), other=NO)


@dataclass(frozen=True)
class ChoiceOf:
    """The name of one line of a list input (`name: description`). Any other text becomes the last name."""

    field: str

    def structured_outputs(self, inputs: Inputs) -> dict[str, Any] | None:
        return {"choice": self._names(inputs)}

    def snap(self, text: str, inputs: Inputs) -> str:
        names = self._names(inputs)
        matching = [name for name in names if text.strip().startswith(name)]
        return max(matching, key=len) if matching else names[-1]

    def _names(self, inputs: Inputs) -> list[str]:
        return [line.partition(":")[0] for line in inputs[self.field]]


@dataclass(frozen=True)
class BestOf:
    """Numbers of an input's lines, counted from 1, the best first: `3 1 2`. Any other text becomes ""."""

    field: str
    most: int

    def structured_outputs(self, inputs: Inputs) -> dict[str, Any] | None:
        numbers = self._numbers(inputs)
        number, others = "|".join(numbers), min(self.most, len(numbers)) - 1
        if not others:
            return {"choice": numbers}
        return {"regex": rf"({number})( ({number})){{{others}}}"}

    def snap(self, text: str, inputs: Inputs) -> str:
        answer = re.split(r"[\s,>]+", text.strip())
        return " ".join(list(dict.fromkeys(answer))[: self.most]) if set(answer) <= set(self._numbers(inputs)) else ""

    def _numbers(self, inputs: Inputs) -> list[str]:
        return [str(number) for number, _ in enumerate(str(inputs[self.field]).splitlines(), start=1)]


@dataclass(frozen=True)
class QuestionOr:
    """`missing: ` and one question in one line, or a fixed word. Any other text becomes the word.

    The prefix comes first, because a model that has begun a question must finish it."""

    word: str

    def structured_outputs(self, inputs: Inputs) -> dict[str, Any] | None:
        # No bounds: vLLM gives the compiler of a pattern 5 s, and a counted pattern takes longer on a busy machine.
        return {"regex": rf"{re.escape(self.word)}|{MISSING}[^?\n]+\?"}

    def snap(self, text: str, inputs: Inputs) -> str:
        question = re.match(r"[^?\n]{4,160}\?", text.strip().removeprefix(MISSING))
        return MISSING + question.group() if question else self.word


@dataclass(frozen=True)
class JsonOf:
    """JSON of the schema in an input, at most `max_tokens` long. Its reader must validate it."""

    field: str
    max_tokens: int = 160

    def structured_outputs(self, inputs: Inputs) -> dict[str, Any] | None:
        return {"json": _for_grammar(inputs[self.field])}

    def snap(self, text: str, inputs: Inputs) -> str:
        return _braced(text)


@dataclass(frozen=True)
class JsonAs:
    """JSON of a pydantic model, at most `max_tokens` long. Its reader must validate it."""

    model: type[BaseModel]
    max_tokens: int = 300

    def structured_outputs(self, inputs: Inputs) -> dict[str, Any] | None:
        return {"json": _schema(self.model)}

    def snap(self, text: str, inputs: Inputs) -> str:
        return _braced(text)


@dataclass(frozen=True)
class SumOf:
    """The name or the fact of one line of a list input (`name: fact`), or a sum of each fact's first number."""

    field: str

    def structured_outputs(self, inputs: Inputs) -> dict[str, Any] | None:
        lines = list(inputs[self.field])
        rules = [_quoted(part) for part in _parts(lines)]
        if numbers := first_numbers(lines):
            rules.append(' " " [-+*/] " " '.join(_quoted(number) for number in numbers))
        return {"grammar": f"root ::= {' | '.join(dict.fromkeys(rules))}"} if rules else None

    def snap(self, text: str, inputs: Inputs) -> str:
        lines = list(inputs[self.field])
        if is_sum(text) and NUMBER.findall(text) == first_numbers(lines):
            return text.strip()
        near = difflib.get_close_matches(text, _parts(lines), n=1, cutoff=0.0)
        return near[0] if near else NONE


@cache
def _schema(model: type[BaseModel]) -> dict[str, Any]:
    """Cached: pydantic computes it anew each time."""
    return dict(_for_grammar(model.model_json_schema()))


def _for_grammar(schema: Any) -> Any:
    """A JSON schema without the lengths of texts and lists, which vLLM would unroll into its grammar, for seconds.

    The JSON's reader checks the lengths. A text with `maxWords` ends after so many words, so that the JSON becomes
    whole; `max_tokens` cuts off any other text that does not end.
    """
    if isinstance(schema, list):
        return [_for_grammar(value) for value in schema]
    if not isinstance(schema, Mapping):
        return schema
    # A property may be named like a keyword; a length is a number.
    kept = {name: value for name, value in schema.items() if name not in _LENGTHS or not isinstance(value, int)}
    if isinstance(kept.get(_MAX_WORDS), int):
        words = kept.pop(_MAX_WORDS)
        kept["pattern"] = rf"^{_WORD_IN_JSON}( {_WORD_IN_JSON}){{0,{words - 1}}}$"
    return {name: _for_grammar(value) for name, value in kept.items()}


def _braced(text: str) -> str:
    """The text from the first brace to the last: an endpoint without grammars may write explanations around it."""
    start, end = text.find("{"), text.rfind("}")
    return text[start : end + 1] if 0 <= start < end else text.strip()


def first_numbers(lines: Sequence[str]) -> list[str]:
    """The first number of each line's fact; empty for fewer than two lines, or when a fact has no number."""
    numbers = [matches[0] for line in lines if (matches := NUMBER.findall(line.partition(": ")[2]))]
    return numbers if len(numbers) == len(lines) > 1 else []


def stated_sum(lines: Sequence[str], question: str) -> str:
    """The sum of the lines' facts that the question's words state, such as *in total*; "" without such words.

    Only where each fact is a number and their order does not matter; a difference needs a model to order them.
    """
    facts = [line.partition(": ")[2].strip() for line in lines]
    if len(facts) < 2 or not all(map(NUMBER.fullmatch, facts)):
        return ""
    return next((f" {sign} ".join(facts) for sign, words in _STATED.items() if words.search(question)), "")


def wants_yes_or_no(question: str) -> bool:
    """Whether a question asks for yes or no: *Are Moss and Fern both books?*"""
    return _ASKS_YES_OR_NO.search(question) is not None


def is_sum(text: str) -> bool:
    """Whether a text is numbers joined by + - * /, which the calculator can evaluate."""
    return bool(re.fullmatch(r"\s*-?[\d.]+(\s*[-+*/]\s*-?[\d.]+)+\s*", text))


def _whole_words(text: str, start: int, end: int) -> str:
    """The span without the part of a word at its end: an output limit cuts anywhere."""
    ends = [word.start() + len(_bare(word.group())) for word in _WORD.finditer(text, start)]
    return text[start : max((place for place in ends if place <= end), default=end)]


def _bare(word: str) -> str:
    """A word without the punctuation at its end: an answer ends before the full stop."""
    return word.strip().rstrip(".,;:!?。，；：！？") or word.strip()


def _parts(lines: Sequence[str]) -> list[str]:
    named = [line.partition(": ") for line in lines]
    return [part for name, _, fact in named for part in (fact, name) if part]


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
