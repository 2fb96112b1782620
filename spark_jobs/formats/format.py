"""The declaration of a format: what a module of this folder says about the files that it reads."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import IO

from spark_jobs.formats.container import ContainerBudget, Member
from spark_jobs.formats.document import ExtractedText, ParseLimits

FileReader = Callable[[IO[bytes], ParseLimits], ExtractedText]
MemberReader = Callable[[IO[bytes], ParseLimits, ContainerBudget], Iterator[Member]]


@dataclass(frozen=True)
class Format:
    """How files with one of `suffixes` are read. Readers raise `Refused`, or any error for a damaged file."""

    name: str
    suffixes: tuple[str, ...]  # in lower case; "": a name without a suffix, e.g. `README`
    read: FileReader | None  # None: the file itself is no document, only its members are
    is_text: bool = False  # a text file may have `document_bytes`, any other file `file_bytes`
    is_sandboxed: bool = True  # read in the limited process, because a file can make its parser hang or crash
    members: MemberReader | None = None  # of a container: the files inside it
    parsers: tuple[str, ...] = ()  # modules to import; their time and memory do not count for a document
    media_types: tuple[str, ...] = ()  # by which web servers name the format

    def import_parsers(self) -> None:
        for module in self.parsers:
            import_module(module)
