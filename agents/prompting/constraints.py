"""What the text of an output field may be, said once in the signature and enforced twice.

A small model garbles names when it writes freely and is exact when it can only copy. So an output field declares
what it may hold (`Annotated[str, SpanOf("passage")]`); the adapter sends that to vLLM as a grammar, and holds
the answer against it again, because another endpoint may not know grammars.
"""

import difflib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

from pydantic import BaseModel

Inputs = Mapping[str, Any]
MAX_SPAN_CHARACTERS = 400
NONE = "none"  # what an output says that has nothing to say
YES, NO = "yes", "no"
MISSING = "missing: "  # before a question that is still open
# A word with the blank behind it; a character where words are written without blanks.
_CJK = "\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3"
_WORD = re.compile(rf"(?:[{_CJK}]|[^\s{_CJK}]+)(?:\s+|$)?")
_LINE_END = re.compile(r"[.!?。！？]\s*\n")
# An English one. "Can you tell me which …" wants no yes, and "Is A or B older?" wants a name.
_ASKS_YES_OR_NO = re.compile(
    r"(?:^|[.?!]\s)\s*(?:is|are|was|were|do|does|did|has|have|had|can|could|will|would|should)\s(?!you\b)(?!.*\bor\b)",
    re.IGNORECASE | re.DOTALL,
)
_LENGTHS = ("minLength", "maxLength", "minItems", "maxItems")
_MAX_WORDS = "maxWords"  # no keyword of JSON schema's: who does not know it passes over it
_WORD_IN_JSON = r'[^ "\\\n]+'
NUMBER = re.compile(r"(?<![\w.])\d+(?:\.\d+)?(?![\w])")


def in_words(most: int) -> dict[str, Any]:
    """What a text field's `json_schema_extra` says, so that the grammar ends it after so many words.

    A small model does not end a text by itself. A word may be as long as it likes: 16 words take the grammar's compiler
    0.1 s, a length in characters 1 to 2.
    """
    return {_MAX_WORDS: most}


class Constraint(Protocol):
    """What an output may be, given the inputs."""

    def structured_outputs(self, inputs: Inputs) -> dict[str, Any] | None:
        """vLLM's `structured_outputs` for it; None where nothing can be said."""

    def snap(self, text: str, inputs: Inputs) -> str:
        """The allowed text nearest to what the model wrote; "" when there is none."""


@dataclass(frozen=True)
class SpanOf:
    """Words that stand one after the other in an input, or "none". The grammar ends them where a sentence ends its
    line: a small model would else go on to the next."""

    field: str

    def structured_outputs(self, inputs: Inputs) -> dict[str, Any] | None:
        words = _WORD.findall(str(inputs[self.field]))
        if not words:
            return None
        # Rule i is "word i, and maybe what follows": as long as the text, where a list of all spans is its square.
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
        found = passage.lower().find(wanted.lower())
        if found >= 0:
            return _whole_words(passage, found, found + len(wanted))
        match = difflib.SequenceMatcher(None, passage, wanted, autojunk=False).find_longest_match()
        shared = passage[match.a : match.a + match.size].strip()
        return shared if len(shared) > len(wanted) // 2 else NONE


@dataclass(frozen=True)
class OneOf:
    """One of a few fixed texts; `other`, or the first of them, stands for anything else."""

    choices: tuple[str, ...]
    other: str | None = None

    def structured_outputs(self, inputs: Inputs) -> dict[str, Any] | None:
        return {"choice": list(self.choices)}

    def snap(self, text: str, inputs: Inputs) -> str:
        other, said = self.choices[0] if self.other is None else self.other, text.strip().lower()
        return next((choice for choice in self.choices if said.startswith(choice.lower())), other)


@dataclass(frozen=True)
class YesNoOr:
    """Yes or no where the question in an input wants that, or "none" where `or_none`; elsewhere what `otherwise`
    allows."""

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
    """The name of one line of a list input (`name: what it is`); the last stands for anything else."""

    field: str

    def structured_outputs(self, inputs: Inputs) -> dict[str, Any] | None:
        return {"choice": self._names(inputs)}

    def snap(self, text: str, inputs: Inputs) -> str:
        names = self._names(inputs)
        said = [name for name in names if text.strip().startswith(name)]
        return max(said, key=len) if said else names[-1]

    def _names(self, inputs: Inputs) -> list[str]:
        return [line.partition(":")[0] for line in inputs[self.field]]


@dataclass(frozen=True)
class BestOf:
    """Numbers of lines of an input, counted from 1, the best first: `3 1 2`; "" stands for anything else."""

    field: str
    most: int

    def structured_outputs(self, inputs: Inputs) -> dict[str, Any] | None:
        numbers = self._numbers(inputs)
        one, others = "|".join(numbers), min(self.most, len(numbers)) - 1
        if not others:
            return {"choice": numbers}
        return {"regex": rf"({one})( ({one})){{{others}}}"}

    def snap(self, text: str, inputs: Inputs) -> str:
        said = re.split(r"[\s,>]+", text.strip())
        return " ".join(list(dict.fromkeys(said))[: self.most]) if set(said) <= set(self._numbers(inputs)) else ""

    def _numbers(self, inputs: Inputs) -> list[str]:
        return [str(number) for number, _ in enumerate(str(inputs[self.field]).splitlines(), start=1)]


@dataclass(frozen=True)
class QuestionOr:
    """What is missing, as one question in one line, or a word that says that nothing is; the word stands for anything
    else. Which of the two it is comes first: a model that begins with an answer has to go on to some question."""

    word: str

    def structured_outputs(self, inputs: Inputs) -> dict[str, Any] | None:
        # No bounds: vLLM gives a pattern 5 s to be compiled, and a counted one takes longer on a busy machine.
        return {"regex": rf"{re.escape(self.word)}|{MISSING}[^?\n]+\?"}

    def snap(self, text: str, inputs: Inputs) -> str:
        question = re.match(r"[^?\n]{4,160}\?", text.strip().removeprefix(MISSING))
        return MISSING + question.group() if question else self.word


@dataclass(frozen=True)
class JsonOf:
    """JSON of the schema that stands in an input, of so many tokens at most. Who reads it checks it again."""

    field: str
    max_tokens: int = 160

    def structured_outputs(self, inputs: Inputs) -> dict[str, Any] | None:
        return {"json": _for_grammar(inputs[self.field])}

    def snap(self, text: str, inputs: Inputs) -> str:
        return _braced(text)


@dataclass(frozen=True)
class JsonAs:
    """JSON of a pydantic model, of so many tokens at most. Who reads it checks it again."""

    model: type[BaseModel]
    max_tokens: int = 300

    def structured_outputs(self, inputs: Inputs) -> dict[str, Any] | None:
        return {"json": _schema(self.model)}

    def snap(self, text: str, inputs: Inputs) -> str:
        return _braced(text)


@dataclass(frozen=True)
class SumOf:
    """The name or the fact of one line of a list input (`name: fact`), or a sum over the first number of each fact."""

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
    """Kept, for pydantic works it out anew each time."""
    return dict(_for_grammar(model.model_json_schema()))


def _for_grammar(schema: Any) -> Any:
    """A JSON schema without the lengths of its texts and lists, which vLLM would unroll into its grammar, for seconds.

    Who reads the JSON checks them. A text that declares its words is ended by them, and so is the JSON whole;
    `max_tokens` cuts off any other that does not end by itself.
    """
    if isinstance(schema, list):
        return [_for_grammar(value) for value in schema]
    if not isinstance(schema, Mapping):
        return schema
    # A property may have such a name; a length is a number.
    kept = {name: value for name, value in schema.items() if name not in _LENGTHS or not isinstance(value, int)}
    if isinstance(kept.get(_MAX_WORDS), int):
        words = kept.pop(_MAX_WORDS)
        kept["pattern"] = rf"^{_WORD_IN_JSON}( {_WORD_IN_JSON}){{0,{words - 1}}}$"
    return {name: _for_grammar(value) for name, value in kept.items()}


def _braced(text: str) -> str:
    """From the first brace to the last: an endpoint that knows no grammars may explain itself around them."""
    start, end = text.find("{"), text.rfind("}")
    return text[start : end + 1] if 0 <= start < end else text.strip()


def first_numbers(lines: Sequence[str]) -> list[str]:
    """The first number of each line's fact; none at all when there are not two, or one fact has none."""
    numbers = [found[0] for line in lines if (found := NUMBER.findall(line.partition(": ")[2]))]
    return numbers if len(numbers) == len(lines) > 1 else []


def wants_yes_or_no(question: str) -> bool:
    """Whether a question is answered by yes or no: *Are Moss and Fern both books?*"""
    return _ASKS_YES_OR_NO.search(question) is not None


def is_sum(text: str) -> bool:
    """Whether a text is numbers joined by + - * /, and so for the calculator."""
    return bool(re.fullmatch(r"\s*-?[\d.]+(\s*[-+*/]\s*-?[\d.]+)+\s*", text))


def _whole_words(text: str, start: int, end: int) -> str:
    """The span without the part of a word at its end: an output limit cuts anywhere."""
    ends = [word.start() + len(_bare(word.group())) for word in _WORD.finditer(text, start)]
    return text[start : max((one for one in ends if one <= end), default=end)]


def _bare(word: str) -> str:
    """A word without the punctuation at its end: an answer ends before the full stop."""
    return word.strip().rstrip(".,;:!?。，；：！？") or word.strip()


def _parts(lines: Sequence[str]) -> list[str]:
    named = [line.partition(": ") for line in lines]
    return [part for name, _, fact in named for part in (fact, name) if part]


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
