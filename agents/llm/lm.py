"""DSPy's LM for one task, without DSPy's own work around a call.

`dspy.LM` prepares, caches, prices, retries and remembers a call, partly in a thread before it and in another after it.
Here the adapter prepares a call and the engine prices, retries and records it, so that only the two waits for a thread
were left (`tests.benchmarks.agent_overhead` measures a step).
"""

import dspy
from dspy.lm15 import ContextLengthError, Request, Response
from dspy.utils.exceptions import ContextWindowExceededError

from agents.llm.engine import NoSyncEngine, TaskEngine


class TaskLM(dspy.LM):
    """Hands a request to the engine. A prompt that is too long becomes DSPy's ContextWindowExceededError."""

    def __init__(self, model: str, engine: TaskEngine, temperature: float) -> None:
        super().__init__(
            model, engine=NoSyncEngine(), async_engine=engine, temperature=temperature, cache=False, num_retries=0
        )
        self._task_engine = engine

    async def acall(self, request: Request) -> Response:
        """The model's answer to a request of `ShortAdapter`."""
        try:
            return await self._task_engine.complete(request)
        except ContextLengthError as error:
            raise ContextWindowExceededError(model=self.model, message=str(error)) from error
