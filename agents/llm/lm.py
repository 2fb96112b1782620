"""DSPy's LM for one task, without what DSPy does around a call for those who need it.

`dspy.LM` prepares, caches, prices, retries and remembers, partly in a thread before the call and in another one after
it. Here the adapter prepares, the engine prices and records, and DSPy caches, repeats and remembers nothing: all that
was left of it was two waits for a thread at each call (`tests.benchmarks.agent_overhead` measures a step).
"""

import dspy
from dspy.lm15 import ContextLengthError, Request, Response
from dspy.utils.exceptions import ContextWindowExceededError

from agents.llm.engine import NoSyncEngine, TaskEngine


class TaskLM(dspy.LM):
    """Hands a request to the engine; what that raises arrives as it is, a prompt too long as DSPy names it."""

    def __init__(self, model: str, engine: TaskEngine, temperature: float) -> None:
        super().__init__(
            model, engine=NoSyncEngine(), async_engine=engine, temperature=temperature, cache=False, num_retries=0
        )
        self._task_engine = engine

    async def acall(self, request: Request) -> Response:
        """The model's answer to a request of `ShortAdapter`'s."""
        try:
            return await self._task_engine.complete(request)
        except ContextLengthError as error:
            raise ContextWindowExceededError(model=self.model, message=str(error)) from error
