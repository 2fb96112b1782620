"""The teacher's adapter: it restricts each answer of the model to what the question's labels allow.

A small model rarely reaches a right answer alone, and demonstrations are copied from right answers. The student has
no labels.
"""

from itertools import product
from typing import Any

from agents.prompting.adapter import ShortAdapter
from agents.prompting.constraints import NO, NUMBER, YES, OneOf, SpanOf, SumOf, YesNoOr, first_numbers
from agents.tools.calculator import calculate
from agents.tools.contract import ToolFailed
from lakehouse.text.mentions import quote_of
from lakehouse.text.questions import LabelledQuestion


class HintedAdapter(ShortAdapter):
    """Allows only answers that agree with the labels of one question; all answers where the labels do not apply."""

    def __init__(self, question: LabelledQuestion) -> None:
        super().__init__()
        self._question = question

    def allowed(self, constraint: Any, inputs: dict[str, Any]) -> dict[str, Any] | None:
        choices = self._hint(constraint, inputs)
        return {"choice": choices} if choices else super().allowed(constraint, inputs)

    def _hint(self, constraint: Any, inputs: dict[str, Any]) -> list[str]:
        match constraint:
            case OneOf(choices=choices):
                look_ups = str(len(self._question.gold_ids) - 1)
                return [look_ups] if look_ups in choices else []
            case YesNoOr(otherwise=otherwise):
                yes_or_no = [answer.lower() for answer in self._question.answers if answer.lower() in (YES, NO)]
                return yes_or_no or self._hint(otherwise, inputs)
            case SpanOf(field="question"):
                return []  # words of the question are not its answer
            case SpanOf(field=field):
                return self._right_spans(inputs[field], inputs.get("question"))
            case SumOf(field=field):
                return self._right_sums(list(inputs[field]))
        return []

    def _right_spans(self, text: str, question: Any) -> list[str]:
        """The gold answer as it stands in the text. An answer that is computed from several documents' numbers has no
        span: then any number is right, but only for the whole question, since a part of it may ask for a name."""
        if len(self._question.gold_ids) > 2 and _value(self._question.answers[0]):
            return list(dict.fromkeys(NUMBER.findall(text))) if question == self._question.text else []
        quotes = [quote for answer in self._question.answers if (quote := quote_of(answer, text))]
        return [min(quotes, key=len)] if quotes else []

    def _right_sums(self, facts: list[str]) -> list[str]:
        """A sum of the facts' numbers whose value is the gold answer."""
        numbers = first_numbers(facts)
        for operators in product("+-*/", repeat=max(0, len(numbers) - 1)):
            rest = (f"{operator} {number}" for operator, number in zip(operators, numbers[1:], strict=True))
            expression = " ".join([*numbers[:1], *rest])
            if _value(expression) in self._question.answers:
                return [expression]
        return []


def _value(expression: str) -> str | None:
    try:
        return calculate(expression)
    except ToolFailed:
        return None
