"""How a question's first chunk leads to its second, by their texts: the connections that a search could follow."""

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any, Literal

from lakehouse.text.names import HEADING_JOINT, Names
from tests.benchmarks.manual_index import Manual

Connection = Literal["hyperlink", "name of the page", "shared name", "words alone"]
FEW = 20
"""A name in more chunks connects nothing."""


class Connections:
    """The connections between the chunks of one manual."""

    def __init__(self, manual: Manual) -> None:
        self._chunks = {chunk["chunk_id"]: chunk for chunk in manual.chunks}
        self._names = {chunk["chunk_id"]: _names(chunk) for chunk in manual.chunks}
        self._counts = Counter(name for names in self._names.values() for name in names.say)

    def between(self, gold: Sequence[str]) -> Connection:
        """The surest connection from the first of two chunks to the second."""
        first, second = gold
        if _links_to(self._chunks[first]["text"], self._chunks[second]["doc_id"]):
            return "hyperlink"
        says, spoken, own = self._names[first].say, self._names[second].say, self._names[second].own
        if any(name in says for name in own):
            return "name of the page"
        if any(name in says and self._counts[name] <= FEW for name in spoken):
            return "shared name"
        return "words alone"


def _names(chunk: dict[str, Any]) -> Names:
    return Names.of(chunk["title"], HEADING_JOINT.join(chunk["heading_path"]), chunk["text"])


def _links_to(text: str, doc_id: str) -> bool:
    """Whether a text has a link that ends in the document's file name, in any site's style."""
    name = re.escape(PurePosixPath(doc_id).stem)
    return re.search(rf'[/("]{name}(?:\.md|/|["#)\s])', text) is not None
