"""How a question's first chunk leads to its second, as far as their texts tell: what a search could follow."""

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any, Literal

from lakehouse.text.names import HEADING_JOINT, Names
from tests.benchmarks.manual_index import Manual

Connection = Literal["hyperlink", "name of the page", "shared name", "words alone"]
FEW = 20
"""Chunks that may say a shared name: one that more say tells nothing."""


class Connections:
    """Of one manual."""

    def __init__(self, manual: Manual) -> None:
        self._chunks = {one["chunk_id"]: one for one in manual.chunks}
        self._names = {one["chunk_id"]: _names(one) for one in manual.chunks}
        self._said = Counter(name for names in self._names.values() for name in names.say)

    def between(self, gold: Sequence[str]) -> Connection:
        """What connects the first of two chunks with the second, the surest kind first."""
        first, second = gold
        if _links_to(self._chunks[first]["text"], self._chunks[second]["doc_id"]):
            return "hyperlink"
        says, spoken, own = self._names[first].say, self._names[second].say, self._names[second].own
        if any(name in says for name in own):
            return "name of the page"
        if any(name in says and self._said[name] <= FEW for name in spoken):
            return "shared name"
        return "words alone"


def _names(chunk: dict[str, Any]) -> Names:
    return Names.of(chunk["title"], HEADING_JOINT.join(chunk["heading_path"]), chunk["text"])


def _links_to(text: str, doc_id: str) -> bool:
    """Whether a text has a link that ends in the document's file name, in whatever way its site writes links."""
    name = re.escape(PurePosixPath(doc_id).stem)
    return re.search(rf'[/("]{name}(?:\.md|/|["#)\s])', text) is not None
