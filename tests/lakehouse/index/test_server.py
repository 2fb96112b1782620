"""What a server's version says about its capabilities; calls are tested through the index."""

import pytest

from lakehouse.errors import Unavailable
from lakehouse.index.server import Capabilities


@pytest.mark.parametrize(
    ("version", "bm25", "scalar_index", "several_writers"),
    [
        ("milvus_lite-3.2.2", True, "INVERTED", False),
        ("v2.3.5-lite", False, "Trie", True),  # a real Milvus, in spite of its name
        ("v2.4.9", False, "INVERTED", True),
        ("v2.5.0-beta", True, "INVERTED", True),
        ("2.6.1", True, "INVERTED", True),
        ("v2.10.0", True, "INVERTED", True),
    ],
)
def test_what_a_server_can_do_is_read_from_its_version(version, bm25, scalar_index, several_writers):
    assert Capabilities.of(version) == Capabilities(version, bm25, scalar_index, several_writers)


@pytest.mark.parametrize("version", ["v2.2.16", "unknown", ""])
def test_a_server_that_is_too_old_or_unreadable_is_refused(version):
    with pytest.raises(Unavailable, match=r"must be 2\.3 or newer"):
        Capabilities.of(version)
