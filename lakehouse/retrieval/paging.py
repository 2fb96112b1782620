"""Pages of a search: a token names the documents that were shown, and the next page holds the best of the others.

Each page searches anew with the caller's rights of that moment. So a page never repeats a document, and loses none when
others are ingested or forgotten in between. A token opens nothing: it only leaves documents out.
"""

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b

from lakehouse.errors import InvalidInput
from lakehouse.index.passages import Passage
from lakehouse.retrieval.by_document import document_of

MAX_SHOWN = 200
"""Documents of all pages of a search."""
_BYTES = 8
MAX_TOKEN_CHARACTERS = 4 * (_BYTES * (MAX_SHOWN + 1) // 3 + 1)


@dataclass(frozen=True)
class Pages:
    """The pages of one search so far: what it asks, and the documents that it showed."""

    search: bytes
    shown: frozenset[bytes] = frozenset()

    @classmethod
    def of(cls, search: Iterable[object], token: str | None) -> "Pages":
        """Continue a search after the page that gave the token; None: from the start.

        `search`: all that says what is asked. Raises `InvalidInput` for a token of another search.
        """
        asked = _hash(*map(repr, search))
        if token is None:
            return cls(asked)
        try:
            packed = urlsafe_b64decode(token.encode())
        except (binascii.Error, ValueError):
            packed = b""
        if packed[:_BYTES] != asked or len(packed) % _BYTES or len(packed) > _BYTES * (MAX_SHOWN + 1):
            raise InvalidInput(
                f"page_token {token[:20]!r}: belongs to no page of this search. Repeat the question, mode and filters "
                "of that page, or leave the token out for the first page."
            )
        return cls(asked, frozenset(packed[place : place + _BYTES] for place in range(_BYTES, len(packed), _BYTES)))

    def is_shown(self, passage: Passage) -> bool:
        """Whether an earlier page showed the passage's document."""
        return _hash(*document_of(passage)) in self.shown

    def next_token(self, page: Iterable[Passage], k: int) -> str | None:
        """The token of the page after this one of up to k documents; None where it is the last."""
        keys = [_hash(*document_of(passage)) for passage in page]
        shown = self.shown.union(keys)
        if len(keys) < k or len(shown) + k > MAX_SHOWN:
            return None
        return urlsafe_b64encode(b"".join([self.search, *sorted(shown)])).decode()


def _hash(*parts: str) -> bytes:
    return blake2b("\0".join(parts).encode(errors="surrogatepass"), digest_size=_BYTES).digest()
