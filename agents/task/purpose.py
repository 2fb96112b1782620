"""What the running code works for, in context variables: every step and call record is labelled from here."""

from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import dspy

from agents.answer import PassageRef
from lakehouse.index.passages import Passage


@dataclass(frozen=True)
class CallPurpose:
    """Labels of a model call: the agent that makes it, its hop, and the passages in its prompt."""

    agent: str = "chat"
    hop: int = 0
    passages: tuple[PassageRef, ...] = ()


UNLABELLED = CallPurpose()

sub_task: ContextVar[str | None] = ContextVar("sub_task", default=None)
"""Id of the running sub-task; None outside of any."""

call_purpose: ContextVar[CallPurpose] = ContextVar("call_purpose", default=UNLABELLED)
"""Labels of the model call under way."""


async def ask_model(
    predictor: dspy.Predict, *, hop: int, reading: Sequence[Passage] = (), **inputs: Any
) -> dspy.Prediction:
    """Call a predictor. `inputs` are its signature's; `reading`: the passages in them, for the call's record."""
    purpose = CallPurpose(predictor.config["agent"], hop, tuple(map(PassageRef.of, reading)))
    token = call_purpose.set(purpose)
    try:
        return await predictor.acall(**inputs)
    finally:
        call_purpose.reset(token)
