"""Runs tasks under the daily cap of their key: reserve, run, settle, also when the client goes away.

A task runs outside the call chain of its HTTP handler: a handler can be cancelled at any point, more than once, and
money must be settled all the same. So the handler asks the task to stop, and only the agents' work is cancelled.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from agents.answer import Answer, Event, OnEvent, Usage
from agents.task.budget import Limits
from agents.task.journal import Journal
from lakehouse.access.ledger import Key, Ledger, Reservation
from lakehouse.access.permissions import Caller
from lakehouse.errors import BudgetExceeded, LakehopError, Unavailable
from lakehouse.settings import LLM_RERANKER, Settings
from lakehouse.state.memory import Memories, Owner
from serving.contract.access import caller_of
from serving.contract.bodies import AskBody, JudgeBody, SearchBody
from serving.contract.metrics import Metrics
from serving.contract.problems import kind_of
from serving.tasks.admission import Admitted, check_options
from serving.tasks.idempotency import StoredAnswers

if TYPE_CHECKING:  # see serving.gateway: its supervisor process stays light
    from agents.runtime import Agents, SearchResult

log = logging.getLogger("lakehop.gateway")

# The agents end a task at its time cap. The gateway cancels a task that still runs so many seconds later.
OVERRUN_S = 15
# A key with less than this part of the default task cap left is at its cap. On the last fraction of a cent a task can
# make no call, and every answer would be `partial`.
LEAST_PART = Decimal("0.1")


class TaskStopped(Unavailable):
    """A task ended because its client went away or the gateway stops."""


class Paid(Protocol):
    """The result of a task: how it ended, and its cost."""

    @property
    def status(self) -> str: ...

    @property
    def usage(self) -> Usage: ...


T = TypeVar("T", bound=Paid)


class RunningTask[T: Paid]:
    """A task that runs. Await `answer`; call `stop` when its client is gone."""

    def __init__(self, run: Callable[[asyncio.Event], Awaitable[T]]) -> None:
        self._stopped = asyncio.Event()
        self.answer: asyncio.Task[T] = asyncio.ensure_future(run(self._stopped))

    def stop(self) -> None:
        """Cancel the agents' work; its spend so far is settled."""
        self._stopped.set()


class Tasks:
    """Starts tasks, and can stop all running tasks."""

    def __init__(
        self,
        settings: Settings,
        agents: "Agents",
        ledger: Ledger,
        answers: StoredAnswers,
        memories: Memories,
        metrics: Metrics,
    ) -> None:
        self._settings = settings
        self._agents = agents
        self._ledger = ledger
        self._answers = answers
        self._memories = memories
        self._metrics = metrics
        self._running: set[RunningTask[Any]] = set()

    def start(
        self,
        key: Key,
        body: AskBody,
        on_event: Callable[[Event], None] | None = None,
        idempotency_key: str | None = None,
    ) -> RunningTask[Answer]:
        """Begin a task; awaiting its `answer` raises its errors.

        Under an `idempotency_key`, which the caller has claimed, the answer is kept; a failure releases the key.
        """

        async def run(stopped: asyncio.Event) -> Answer:
            if idempotency_key is None:
                return await self._run(key, body, on_event, stopped)
            try:
                answer = await self._run(key, body, on_event, stopped)
            except BaseException:
                await asyncio.to_thread(self._answers.release, key.key_id, idempotency_key)
                raise
            await asyncio.to_thread(self._answers.store, key.key_id, idempotency_key, answer.model_dump_json())
            return answer

        return self._begin(run)

    async def search(self, key: Key, body: SearchBody) -> "SearchResult":
        """A search. A model that reranks is paid by the key; at the key's cap the search does without it."""
        caller = caller_of(key, body.tenant, body.groups, body.user)
        find = partial(
            self._agents.search,
            body.question,
            caller,
            k=body.k,
            mode=body.mode,
            filters=body.search_filters(),
            per_document=body.passages_per_document,
            page_token=body.page_token,
        )
        if self._settings.reranker != LLM_RERANKER:
            return await find()
        max_seconds = self._settings.search_seconds
        try:
            reservation = await self._reserved(caller, max_seconds)
        except BudgetExceeded:
            return await find(max_usd=Decimal(0))

        async def run(watch: OnEvent) -> "SearchResult":
            return await find(max_usd=reservation.usd, on_event=watch)

        return await self._paid_alone("search", reservation, max_seconds, run)

    async def judge(self, key: Key, body: JudgeBody) -> Answer:
        """A judgement: yes or no where its status is `answered`. Raises BudgetExceeded at the key's cap."""
        caller = caller_of(key, body.tenant, body.groups, body.user)
        max_seconds = self._settings.task_max_seconds
        reservation = await self._reserved(caller, max_seconds)
        limits = Limits(reservation.usd, max_seconds)

        async def run(watch: OnEvent) -> Answer:
            return await self._agents.judge(
                body.question, body.answer, body.evidence, caller, limits=limits, on_event=watch
            )

        return await self._paid_alone("judge", reservation, max_seconds, run)

    async def stop_all(self) -> None:
        """Stop the running tasks and wait until their spend is settled."""
        running = list(self._running)
        for task in running:
            task.stop()
        await asyncio.gather(*(task.answer for task in running), return_exceptions=True)

    async def admit(self, key: Key, body: AskBody, waits_s: float = 0) -> Admitted:
        """Hold the money for a task. It ends within its time cap and `waits_s` seconds for waiting in a queue."""
        caller = caller_of(key, body.tenant, body.groups, body.user)
        program = body.program or self._settings.program
        check_options(program, body)
        if body.memory or body.remember:
            Owner.of(caller)  # raises without a user: a memory belongs to a user
        filters = body.search_filters()  # before money is held: it may be refused
        max_seconds = body.max_seconds or self._settings.task_max_seconds
        reservation = await self._reserved(caller, max_seconds + waits_s, body.max_usd)
        return Admitted(
            body.question,
            caller,
            program,
            max_seconds,
            reservation,
            quorum=body.quorum,
            remember=body.remember,
            recall=body.memory,
            filters=filters,
            style=body.style,
            history=body.turns,
        )

    async def work(
        self,
        admitted: Admitted,
        on_event: Callable[[Event], None] | None = None,
        journal: Journal | None = None,
        task_id: str | None = None,
    ) -> Answer:
        """Run a task and settle its spend, unless another process resumes it."""

        async def run(watch: OnEvent) -> Answer:
            answer = await self._agents.ask(
                admitted.question,
                admitted.caller,
                program=admitted.program,
                limits=Limits(max_usd=admitted.reservation.usd, max_seconds=admitted.max_seconds),
                max_hops=self._settings.max_hops,
                quorum=admitted.quorum,
                recall=admitted.recall,
                on_event=watch,
                journal=journal,
                task_id=task_id,
                filters=admitted.filters,
                style=admitted.style,
                history=admitted.history,
            )
            return await asyncio.to_thread(self._remembered, admitted, answer) if admitted.remember else answer

        return await self._paid(admitted.program, admitted.reservation, run, on_event, journal)

    async def _paid(
        self,
        program: str,
        reservation: Reservation,
        run: Callable[[OnEvent], Awaitable[T]],
        on_event: Callable[[Event], None] | None = None,
        journal: Journal | None = None,
    ) -> T:
        """Run work that calls a model; accrue its spend after each call; settle, unless another process resumes it."""
        started, outcome = time.monotonic(), "internal-error"
        spent, calls = Decimal(0), 0
        goes_on = False

        async def watch(event: Event) -> None:
            nonlocal spent, calls
            if event.kind == "step" and event.data["kind"] == "chat":
                spent, calls = spent + Decimal(event.data["usd"]), calls + 1
                await asyncio.to_thread(self._ledger.accrue, reservation, spent)
            if on_event:
                on_event(event)

        try:
            result = await run(watch)
            spent, calls, outcome = result.usage.usd, result.usage.calls, result.status
            return result
        except BaseException as error:
            goes_on = journal is not None and journal.goes_on(error)
            outcome = kind_of(error) if isinstance(error, Exception) else "stopped"
            raise
        finally:
            if not goes_on:
                await asyncio.to_thread(self._settle, reservation, spent)
                self._metrics.task_ended(program, outcome, spent, calls, time.monotonic() - started)

    async def _paid_alone(
        self,
        program: str,
        reservation: Reservation,
        max_seconds: float,
        run: Callable[[OnEvent], Awaitable[T]],
    ) -> T:
        """`_paid` in a task of its own: the handler that waits for it may be cancelled."""
        task = self._begin(
            lambda stopped: _until_stopped(self._paid(program, reservation, run), stopped, max_seconds + OVERRUN_S)
        )
        return await asyncio.shield(task.answer)

    def _begin(self, run: Callable[[asyncio.Event], Awaitable[T]]) -> RunningTask[T]:
        task = RunningTask(run)
        self._running.add(task)
        task.answer.add_done_callback(lambda _: self._running.discard(task))
        task.answer.add_done_callback(asyncio.Task.exception)  # read, also when no client waits for it
        return task

    async def _run(
        self, key: Key, body: AskBody, on_event: Callable[[Event], None] | None, stopped: asyncio.Event
    ) -> Answer:
        admitted = await self.admit(key, body)
        return await _until_stopped(self.work(admitted, on_event), stopped, admitted.max_seconds + OVERRUN_S)

    def release(self, admitted: Admitted) -> None:
        """Give back the money that is held for a task that does not begin."""
        self._ledger.settle(admitted.reservation, Decimal(0))

    def _remembered(self, admitted: Admitted, answer: Answer) -> Answer:
        """Keep an answer in its user's memory. A failure is logged: the answer is paid and goes out in any case."""
        if answer.status != "answered" or answer.question:  # earlier turns: nobody knows who may read them
            return answer
        caller = admitted.caller
        try:
            entry = self._memories.answer(
                Owner.of(caller),
                caller.groups,
                question=admitted.question,
                answer=answer.answer,
                task_id=answer.task_id,
                chunk_ids=answer.rests_on(),
            )
        except LakehopError as error:
            log.warning("the answer of %s is not remembered: %s", answer.task_id, error)
            return answer
        return answer.model_copy(update={"memory_id": entry.memory_id}) if entry else answer

    async def _reserved(self, caller: Caller, max_seconds: float, max_usd: Decimal | None = None) -> Reservation:
        """Hold `max_usd` of the key's day for a task; without it the usual cap, or the free part of it."""
        lifetime_s = max_seconds + 2 * OVERRUN_S
        if max_usd is not None:
            return await asyncio.to_thread(self._ledger.reserve, caller.key_id, max_usd, lifetime_s=lifetime_s)
        usual = self._settings.task_max_usd
        least = round(usual * LEAST_PART, 10)
        return await asyncio.to_thread(
            self._ledger.reserve, caller.key_id, usual, at_least=least, lifetime_s=lifetime_s
        )

    def _settle(self, reservation: Reservation, spent: Decimal) -> None:
        if spent > reservation.usd:
            log.warning("%s spent %s USD of %s", reservation.reservation_id, spent, reservation.usd)
        self._ledger.settle(reservation, spent)


async def _until_stopped[T: Paid](work: Awaitable[T], stopped: asyncio.Event, timeout_s: float) -> T:
    """Await the work. Cancel it when `stopped` is set (`TaskStopped`) or after `timeout_s` (`TimeoutError`)."""
    working, stopping = asyncio.ensure_future(work), asyncio.ensure_future(stopped.wait())
    await asyncio.wait({working, stopping}, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not working.done():
        working.cancel()
        await asyncio.wait({working})
    if not working.cancelled():
        return working.result()
    if stopped.is_set():
        raise TaskStopped("gateway", "the task was stopped, for its client went or the gateway stops. Ask again.")
    raise TimeoutError(f"a task ran {timeout_s:g} s, past its own time cap")
