"""What the readers of containers (archives, mails) share: members, and the budget of everything in one file."""

from collections.abc import Callable
from dataclasses import dataclass, field

from spark_jobs.formats.document import Refused

MAX_MEMBERS = 10_000
TIMES_A_FILE = 10
"""A container may inflate to this many times the size of a file, and take this many times its seconds."""


@dataclass(frozen=True)
class Member:
    """A file in a container. `read` returns its bytes; it raises `Refused` where they cannot be had."""

    name: str
    read: Callable[[], bytes] = field(repr=False)


@dataclass
class ContainerBudget:
    """What one file may still hold, counted over all containers in it, however deep."""

    inflated_bytes: int
    members: int = MAX_MEMBERS

    def spend(self, members: int, inflated_bytes: int) -> None:
        """Take members off the budget. Raises `Refused` where they exceed it."""
        if members > self.members:
            raise Refused(f"{members:,} files in an archive: at most {MAX_MEMBERS:,} are allowed. Split the archive.")
        if inflated_bytes > self.inflated_bytes:
            raise Refused(
                f"zip bomb: {inflated_bytes:,} bytes inflated, at most {self.inflated_bytes:,} are left to it. "
                "Remove it, or unpack and ingest the folder."
            )
        self.members -= members
        self.inflated_bytes -= inflated_bytes
