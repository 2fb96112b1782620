"""Keys of names and terms: the same keys count, store and find chunks.

A chunk's keys follow from its title, heading, text and place alone, so they go stale only with the chunk.
"""

from functools import lru_cache
from hashlib import blake2b

from lakehouse.text.hyperlinks import Place, own_addresses
from lakehouse.text.names import Names, own_names
from lakehouse.text.terms import terms

OWN, SAY, TERM = "own:", "say:", "term:"
"""Prefixes of keys: a name of the chunk's document, a name in the chunk's text, a term of its text."""
EVERY_CHUNK = "chunk:"
"""The key of every chunk; its count is the number of chunks."""
_SIGN = 1 << 63
_NEXT_TO_NOTHING = 1e-6


@lru_cache(maxsize=1 << 18)
def hashed(key: str) -> int:
    """64-bit hash of a key, signed like Delta's BIGINT."""
    return int.from_bytes(blake2b(key.encode(), digest_size=8).digest(), "little") - _SIGN


def dimension(key: str) -> int:
    """The key's dimension in Milvus's sparse vectors, 32 bits. Names with equal dimensions are found together."""
    return min((hashed(key) + _SIGN) & 0xFFFFFFFF, 0xFFFFFFFE)  # Milvus takes none of 2**32 - 1


def name_vector(names: Names) -> dict[str, float]:
    """The vector of a search by names: the document's names and the names in the text, weighted by certainty."""
    own = {OWN + name: weight for name, weight in names.own.items()}
    return own | {SAY + name: weight for name, weight in names.say.items()}


def sparse(vector: dict[str, float]) -> dict[int, float]:
    """A vector of keys in Milvus's form. Each holds `EVERY_CHUNK`, because Milvus refuses an empty vector."""
    return {dimension(EVERY_CHUNK): _NEXT_TO_NOTHING} | {dimension(name): value for name, value in vector.items()}


def counted_keys(title: str, heading: str, text: str, place: Place | None = None, *, begins: bool = True) -> set[str]:
    """The keys that a chunk counts for in `silver.frequencies`. `begins`: it is the first chunk of its document.

    A title or address counts once for each document that has it, not once for each chunk.
    """
    term_keys = {TERM + term for term in terms("\n".join((title, heading, text)))}
    named = set(name_vector(Names.of(title, heading, text, place)))
    if not begins:
        of_document = (*own_names(title, "", ""), *(own_addresses(place) if place else ()))
        named -= {OWN + name for name in of_document}
    return {EVERY_CHUNK, *named, *term_keys}
