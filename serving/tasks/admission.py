"""A task that may begin, and the options that its program takes."""

from dataclasses import dataclass

from agents.answer import Form, Turn
from lakehouse.access.ledger import Reservation
from lakehouse.access.permissions import Caller
from lakehouse.index.search_filters import SearchFilters
from serving.contract.bodies import AskBody


@dataclass(frozen=True)
class Admitted:
    """A task that may begin: its caller, its limits, the money that is held for it."""

    question: str
    caller: Caller
    program: str
    max_seconds: float
    reservation: Reservation
    quorum: int = 1  # defaults, for durable tasks that an earlier version stored
    remember: bool = False
    recall: bool = False
    filters: SearchFilters | None = None
    style: Form | None = None
    history: tuple[Turn, ...] = ()


def check_options(program: str, body: AskBody) -> None:
    """Raise InvalidInput for an option that the program would ignore."""
    from agents.reading.quorum import check_quorum  # here: see serving.gateway, its supervisor process stays light
    from agents.task.remembered import check_memory
    from agents.writing.writer import check_writing

    check_quorum(program, body.quorum)
    check_writing(program, body.style, body.turns)
    if body.memory:
        check_memory(program)
