"""Turns a signature into a short chat: examples as turns, and one value as the reply, held to the field's constraint.

DSPy's own adapters explain an output format in a few hundred tokens, and a small model answers the explanation. Here
the instructions are the system message, each demonstration is a question and an answer, and the reply is the value
itself, which the output field's constraint may limit to copies of an input.
"""

import json
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NoReturn

import dspy
from dspy.lm15 import Config, Message, Request, Response
from dspy.utils.exceptions import ContextWindowExceededError

from agents.prompting.constraints import Constraint
from agents.prompting.demonstrations import EXAMPLES

FIELD_CHARACTERS = (6_000, 1_500, 400)  # of one input in the prompt; the next smaller when the model cannot hold it
MAX_EXAMPLES = 5  # a small model needs few examples like the question; others mislead it
MAX_OUTPUT_TOKENS = 40  # answers are facts, not essays


class ShortAdapter(dspy.Adapter):
    """For signatures with exactly one output field, of type str."""

    def __call__(self, lm: Any, lm_kwargs: Any, signature: Any, demos: Any, inputs: Any) -> NoReturn:
        raise RuntimeError("programs are asynchronous: await program.acall(…)")

    async def acall(
        self,
        lm: dspy.LM,
        lm_kwargs: dict[str, Any],
        signature: type[dspy.Signature],
        demos: list[dict[str, Any]],
        inputs: dict[str, Any],
    ) -> list[dict[str, Any]]:
        """Ask once. `lm_kwargs` may hold `agent`, whose built-in examples are used where there are no `demos`."""
        examples = _most_similar(demos or EXAMPLES.get(str(lm_kwargs.get("agent")), []), signature, inputs)
        for characters in FIELD_CHARACTERS[:-1]:
            try:
                return await self._ask(lm, signature, examples, _clipped(inputs, characters))
            except ContextWindowExceededError:
                continue  # only the model knows its tokens: a script may take one a letter or one a word
        return await self._ask(lm, signature, examples, _clipped(inputs, FIELD_CHARACTERS[-1]))

    async def _ask(
        self,
        lm: dspy.LM,
        signature: type[dspy.Signature],
        examples: Sequence[Mapping[str, Any]],
        inputs: dict[str, Any],
    ) -> list[dict[str, Any]]:
        name, constraint = _output(signature)
        system, *turns = self.format(signature, examples, inputs)
        allowed = self.allowed(constraint, inputs) if constraint else None
        request = Request(
            model=lm.model,
            system=system["content"],
            messages=tuple(_message(turn) for turn in turns),
            config=Config(
                max_tokens=getattr(constraint, "max_tokens", MAX_OUTPUT_TOKENS),
                temperature=lm.kwargs.get("temperature"),
                extensions={"structured_outputs": allowed} if allowed else None,
            ),
        )
        response: Response = await lm.acall(request)
        text = (response.message.text or "").strip()
        return [{name: constraint.snap(text, inputs) if constraint else text}]

    def allowed(self, constraint: Constraint, inputs: dict[str, Any]) -> dict[str, Any] | None:
        """The texts that the model may write, as vLLM's `structured_outputs`."""
        return constraint.structured_outputs(inputs)

    def format(
        self, signature: type[dspy.Signature], demos: Sequence[Mapping[str, Any]], inputs: dict[str, Any]
    ) -> list[dict[str, Any]]:
        """System message, two turns for each demonstration that has all fields, and the question."""
        name, _ = _output(signature)
        fields, input_fields = list(signature.fields), list(signature.input_fields)  # DSPy computes them at each access
        turns = [{"role": "system", "content": _instructions(signature)}]
        for demo in demos:
            if all(demo.get(field) is not None for field in fields):
                turns.append({"role": "user", "content": _asked(input_fields, demo)})
                turns.append({"role": "assistant", "content": str(demo[name])})
        return [*turns, {"role": "user", "content": _asked(input_fields, inputs)}]

    def parse(self, signature: type[dspy.Signature], completion: str) -> dict[str, Any]:
        """The whole reply is the value."""
        name, _ = _output(signature)
        return {name: completion.strip()}


def _output(signature: type[dspy.Signature]) -> tuple[str, Constraint | None]:
    outputs = signature.output_fields
    if len(outputs) != 1:
        raise TypeError(f"{signature.__name__} has {len(outputs)} output fields; ShortAdapter takes exactly one")
    name, field = next(iter(outputs.items()))
    constraints = [item for item in field.metadata if hasattr(item, "structured_outputs")]
    return name, constraints[0] if constraints else None


def _most_similar(
    demos: Sequence[Mapping[str, Any]], signature: type[dspy.Signature], inputs: Mapping[str, Any]
) -> list[Mapping[str, Any]]:
    """The demonstrations whose question shares most words with the input's, the most similar last.

    The question is the last input of a signature. Ties keep their order, so that equal questions get equal examples,
    which the model server has cached.
    """
    question = list(signature.input_fields)[-1]
    asked_words = _words(inputs.get(question))

    def similarity(demo: Mapping[str, Any]) -> float:
        words = _words_of_demo(str(demo.get(question)))
        return len(words & asked_words) / max(1, len(words | asked_words))

    return sorted(demos, key=similarity)[-MAX_EXAMPLES:]


def _words(value: Any) -> frozenset[str]:
    return frozenset(re.findall(r"\w+", str(value).lower()))


_words_of_demo = lru_cache(maxsize=1_000)(_words)  # few, and the same at each call; a user's question is never cached


def _instructions(signature: type[dspy.Signature]) -> str:
    return " ".join(line.strip() for line in signature.instructions.splitlines() if line.strip())


def _asked(fields: Sequence[str], values: Mapping[str, Any]) -> str:
    """A line or block for each field, in the signature's order; the question is last, where a model reads best."""
    lines = [f"{name.replace('_', ' ').capitalize()}: {_text(values.get(name))}" for name in fields]
    return "\n".join(lines)


def _clipped(values: dict[str, Any], characters: int) -> dict[str, Any]:
    return {name: value[:characters] if isinstance(value, str) else value for name, value in values.items()}


def _text(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return "; ".join(map(str, value)) or "none"
    if isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False)
    return str(value)


def _message(turn: dict[str, Any]) -> Message:
    return Message.user(turn["content"]) if turn["role"] == "user" else Message.assistant(turn["content"])
