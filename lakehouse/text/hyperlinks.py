"""Hyperlinks in Markdown and HTML, and the addresses by which a link and a document find each other. No Spark here.

An address is a string with a kind before its first colon. A document has several addresses, and a link has several
candidates, best first. For multi-hop search an address is a name like any other: a document has it, a link says it.
"""

import posixpath
import re
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import NamedTuple
from urllib.parse import unquote, urljoin, urlsplit

_INLINE = (
    r"\]\(\s*(?:<(?P<pointed>[^<>\n]*)>|(?P<inline>\{[{%][^\n]*?[%}]\}[^\s()]*|[^\s()]*(?:\([^\s()]*\)[^\s()]*)*))"
)
_LINK = re.compile(
    _INLINE
    + r"""|\bhref\s*=\s*(?:"(?P<quoted>[^"\n]*)"|'(?P<single>[^'\n]*)')"""
    + r"|^ {0,3}\[[^\]\n]+\]:[ \t]*(?P<defined>\{[{%][^\n]*?[%}]\}\S*|\S+)"
    + r"""|(?P<bare>https?://[^\s<>()\[\]"'`]*[^\s<>()\[\]"'`.,;:!?*_])""",
    re.MULTILINE,
)
# `{% page "/slack/" %}`, `{{ '/slack/' | relative_url }}`, `{{ site.url }}/slack/`: site generators fill in the root.
_TEMPLATE = re.compile(r"\{[%{][^\"'}]*(?:[\"'](?P<quoted>[^\"']*)[\"'])?[^}]*\}\}?")
_PAGE_SUFFIX = re.compile(r"\.(?:md|markdown|mdx|rst|html?|txt)$")
_FOLDER_PAGE = re.compile(r"(?:^|/)(?:index|readme)$")
_BUCKETS = ("s3", "s3a")
_WEB = ("http", "https", "file", *_BUCKETS)
_NO_SLUG = re.compile(r"[^\w\- ]")
_PUBLISHED = "uri:web:"
MAX_LINKS = 24
"""Of one chunk: a table of contents would otherwise lead everywhere."""
_MAX_ADDRESSES = 96
_MAX_BYTES = 200
_MAX_ENDS = 6
_WHOLE_PAGE = 0.3
"""How surely a link to a heading means the other chunks of its page."""


class Place(NamedTuple):
    """Which document a chunk is of, and where that lies."""

    source: str
    doc_id: str
    uri: str


def link_targets(text: str) -> Iterator[str]:
    """Targets, as written, of links in Markdown (inline, definitions, bare addresses) and HTML.

    Links to a place in the same document are left out.
    """
    for match in _LINK.finditer(text):
        target = match[match.lastgroup or ""].strip()
        if target and not target.startswith("#"):
            yield target


def link_addresses(target: str, source: str, doc_id: str, uri: str) -> list[str]:
    """Where a link may lead from the document that holds it, best first."""
    plain = _without_template(target)
    try:
        scheme, host, path, query, _ = urlsplit(plain)
        absolute = _joined(uri.partition("#")[0], plain)
    except ValueError:  # an address that is none, e.g. http://[
        return []
    found = [f"id:{source}:{unquote(target)}"]
    if (scheme and scheme not in _WEB) or not (path or query or host):
        return found
    addresses = (absolute, absolute.partition("#")[0], absolute.partition("#")[0].partition("?")[0])
    found += [f"uri:{_canonical_uri(address)}" for address in addresses]
    if not scheme and not host and path:
        found += _path_addresses(path, source, doc_id)
    return list(dict.fromkeys(found))


def _joined(uri: str, target: str) -> str:
    """A target as seen from a document; `urljoin` alone takes a bucket for no place to start from."""
    scheme, _, rest = uri.partition(":")
    if scheme not in _BUCKETS or urlsplit(target).scheme:
        return urljoin(uri, target)
    return f"{scheme}:{urljoin(f'http:{rest}', target).removeprefix('http:')}"


def _path_addresses(path: str, source: str, doc_id: str) -> list[str]:
    """A relative path is meant from the document's folder, or, where pages are folders, from the document itself."""
    path = unquote(path)
    if path.startswith("/"):
        places = [_canonical_path(path)]
    else:
        bases = (posixpath.dirname(doc_id), _canonical_path(doc_id))
        places = [_canonical_path(posixpath.join("/", base, path)) for base in bases]
    tail = _canonical_path(posixpath.join("/", path))
    return [*(f"path:{source}:{place}" for place in places), f"tail:{source}:{tail}"]


def document_addresses(source: str, doc_id: str, uri: str) -> list[str]:
    """The addresses of a document: its id, its URI, its path, and each end of its path for links that leave out a root.

    Site generators publish `docs/guide/install.md` as `/guide/install/`, or as `install.md` in one flat folder.
    """
    parts = _canonical_path(doc_id).split("/")
    tails = ["/".join(parts[first:]) for first in range(len(parts))]
    named = [f"id:{source}:{doc_id}", f"uri:{_canonical_uri(uri)}", f"path:{source}:{tails[0]}"]
    return [*named, *(f"tail:{source}:{tail}" for tail in tails if tail)]


def said_addresses(text: str, place: Place) -> dict[str, float]:
    """Addresses to which the links of a chunk lead, and how surely; those of the first `MAX_LINKS`.

    All candidates of a link count here, for which of them exists depends on other documents.
    """
    found: dict[str, float] = {}
    for target in islice(link_targets(text), MAX_LINKS):
        fragment = target.partition("#")[2]
        for address in link_addresses(target, *place):
            if not fragment or address.endswith(f"#{fragment}"):
                _add(found, address, 1.0)
                continue
            _add(found, address, _WHOLE_PAGE)
            if address.startswith(("path:", "tail:")):
                _add(found, f"{address}#{fragment.lower()}", 1.0)
    return found


def own_addresses(place: Place, headings: Sequence[str] = ()) -> dict[str, float]:
    """Addresses by which links may mean a chunk's document, and the chunk by its headings, and how surely."""
    found: dict[str, float] = {}
    addresses = document_addresses(*place)
    ends = [address for address in addresses if address.startswith("tail:")][-_MAX_ENDS:]
    for address in (*addresses[:3], *ends):
        _add(found, address, 1.0)
    for slug in filter(None, map(_slug, headings)):
        for address in (*addresses[1:3], *ends):
            _add(found, f"{address}#{slug}", 1.0)
    return found


def is_address(name: str) -> bool:
    """Whether a chunk's name is an address; other names are words."""
    return ":" in name


def is_path_end(name: str) -> bool:
    """Whether a chunk's name is the end of a document's path, which several may have."""
    return name.startswith("tail:") and "#" not in name


def readable_address(address: str) -> str:
    """The address as people read it: the path of a page, with the host if it is on the web."""
    return address.removeprefix(f"{_PUBLISHED}//") if is_published(address) else address.split(":", 2)[2]


def is_published(address: str) -> bool:
    """Whether an address is one of the web."""
    return address.startswith(_PUBLISHED)


def _add(found: dict[str, float], address: str, sure: float) -> None:
    """A file's or bucket's own address says where a copy of the documents lies; their paths below it say as much."""
    is_copy = address.startswith("uri:") and not is_published(address)
    is_known = address in found or len(found) < _MAX_ADDRESSES
    if not is_copy and is_known and len(address.encode()) <= _MAX_BYTES:
        found[address] = max(sure, found.get(address, 0.0))


def _slug(heading: str) -> str:
    """A heading as site generators make a fragment of it."""
    return _NO_SLUG.sub("", heading.strip().lower()).replace(" ", "-")


def _without_template(target: str) -> str:
    """The path that a site generator's template holds, from the root; anything else as it is."""
    match = _TEMPLATE.match(target)
    if match is None:
        return target
    return "/" + ((match["quoted"] or "") + target[match.end() :]).lstrip("/")


def _canonical_uri(uri: str) -> str:
    """Host, canonical path, then query and fragment as they are: some documents differ in nothing else."""
    scheme, host, path, query, fragment = urlsplit(uri)
    kind = "file" if scheme in ("", "file") else "s3" if scheme in _BUCKETS else "web"
    ends = (f"?{query}" if query else "") + (f"#{fragment}" if fragment else "")
    return f"{kind}://{host.lower()}/{_canonical_path(unquote(path))}{ends}"


def _canonical_path(path: str) -> str:
    """`/Guide/Install.md`, `guide/install/` and `guide/install/index.html` are one page: `guide/install`."""
    plain = posixpath.normpath("/" + path).strip("/").lower()
    return _FOLDER_PAGE.sub("", _PAGE_SUFFIX.sub("", plain))
