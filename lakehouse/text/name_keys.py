"""The keys of names and terms, by which chunks are counted, stored and searched for; one meaning in all three places.

A chunk's keys follow from its title, heading, text and place alone: they go stale only with the chunk.
"""

from functools import lru_cache
from hashlib import blake2b

from lakehouse.text.hyperlinks import Place, own_addresses
from lakehouse.text.names import Names, own_names
from lakehouse.text.terms import terms

OWN, SAY, TERM = "own:", "say:", "term:"
"""What a key begins with: a name of a chunk's document, a name that a chunk speaks of, a term of its text."""
EVERY_CHUNK = "chunk:"
"""The key that every chunk holds: its count is their number."""
_SIGN = 1 << 63
_NEXT_TO_NOTHING = 1e-6


@lru_cache(maxsize=1 << 18)
def hashed(key: str) -> int:
    """64 bits of a key, signed as Delta's BIGINT is."""
    return int.from_bytes(blake2b(key.encode(), digest_size=8).digest(), "little") - _SIGN


def dimension(key: str) -> int:
    """Its dimension in Milvus's sparse vectors, 32 bits. Of two names with one dimension each may bring the other's."""
    return min((hashed(key) + _SIGN) & 0xFFFFFFFF, 0xFFFFFFFE)  # Milvus takes none of 2**32 - 1


def name_vector(names: Names) -> dict[str, float]:
    """What a chunk is found by: the names of its document, by how surely they mean it, and the names it speaks of."""
    own = {OWN + name: weight for name, weight in names.own.items()}
    return own | {SAY + name: weight for name, weight in names.say.items()}


def sparse(vector: dict[str, float]) -> dict[int, float]:
    """A vector of keys as Milvus takes it. `EVERY_CHUNK` stands in each, for Milvus refuses one without a number."""
    return {dimension(EVERY_CHUNK): _NEXT_TO_NOTHING} | {dimension(name): value for name, value in vector.items()}


def counted_keys(title: str, heading: str, text: str, place: Place | None = None, *, begins: bool = True) -> set[str]:
    """The keys that a chunk counts for in `silver.frequencies`; `begins`: it is its document's first chunk.

    A title or address is a name of as many owners as documents have it, however many chunks those are cut into.
    """
    found = {TERM + term for term in terms("\n".join((title, heading, text)))}
    named = set(name_vector(Names.of(title, heading, text, place)))
    if not begins:
        of_document = (*own_names(title, "", ""), *(own_addresses(place) if place else ()))
        named -= {OWN + name for name in of_document}
    return {EVERY_CHUNK, *named, *found}
