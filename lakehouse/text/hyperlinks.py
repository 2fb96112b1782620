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
# `{% page "/slack/" %}`, `{{ '/slack/' | relative_url }}`, `{{ site.url }}/slack/`: site generators add the root.
_TEMPLATE = re.compile(r"\{[%{][^\"'}]*(?:[\"'](?P<quoted>[^\"']*)[\"'])?[^}]*\}\}?")
_PAGE_SUFFIX = re.compile(r"\.(?:md|markdown|mdx|rst|html?|txt)$")
_FOLDER_PAGE = re.compile(r"(?:^|/)(?:index|readme)$")
_BUCKETS = ("s3", "s3a")
_WEB = ("http", "https", "file", *_BUCKETS)
_NO_SLUG = re.compile(r"[^\w\- ]")
_PUBLISHED = "uri:web:"
MAX_LINKS = 24
"""Links of one chunk: a table of contents would connect it with every page."""
_MAX_ADDRESSES = 96
_MAX_BYTES = 200
_MAX_ENDS = 6
_WHOLE_PAGE = 0.3
"""Certainty that a link to a heading means the other chunks of its page."""


class Place(NamedTuple):
    """The document of a chunk, and its location."""

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
    """Addresses that a link in this document may mean, best first."""
    plain = _without_template(target)
    try:
        scheme, host, path, query, _ = urlsplit(plain)
        absolute = _joined(uri.partition("#")[0], plain)
    except ValueError:  # not an address, e.g. http://[
        return []
    addresses = [f"id:{source}:{unquote(target)}"]
    if (scheme and scheme not in _WEB) or not (path or query or host):
        return addresses
    page = absolute.partition("#")[0]
    addresses += [f"uri:{_canonical_uri(address)}" for address in (absolute, page, page.partition("?")[0])]
    if not scheme and not host and path:
        addresses += _path_addresses(path, source, doc_id)
    return list(dict.fromkeys(addresses))


def _joined(uri: str, target: str) -> str:
    """A target relative to a document; `urljoin` alone does not resolve against a bucket."""
    scheme, _, rest = uri.partition(":")
    if scheme not in _BUCKETS or urlsplit(target).scheme:
        return urljoin(uri, target)
    return f"{scheme}:{urljoin(f'http:{rest}', target).removeprefix('http:')}"


def _path_addresses(path: str, source: str, doc_id: str) -> list[str]:
    """A relative path starts at the document's folder or, where pages are folders, at the document itself."""
    path = unquote(path)
    if path.startswith("/"):
        places = [_canonical_path(path)]
    else:
        bases = (posixpath.dirname(doc_id), _canonical_path(doc_id))
        places = [_canonical_path(posixpath.join("/", base, path)) for base in bases]
    tail = _canonical_path(posixpath.join("/", path))
    return [*(f"path:{source}:{place}" for place in places), f"tail:{source}:{tail}"]


def document_addresses(source: str, doc_id: str, uri: str) -> list[str]:
    """The addresses of a document: id, URI, path, and each end of the path for links that leave out the root.

    Site generators publish `docs/guide/install.md` as `/guide/install/`, or as `install.md` in one flat folder.
    """
    parts = _canonical_path(doc_id).split("/")
    tails = ["/".join(parts[first:]) for first in range(len(parts))]
    named = [f"id:{source}:{doc_id}", f"uri:{_canonical_uri(uri)}", f"path:{source}:{tails[0]}"]
    return [*named, *(f"tail:{source}:{tail}" for tail in tails if tail)]


def said_addresses(text: str, place: Place) -> dict[str, float]:
    """Addresses that the first `MAX_LINKS` links of a chunk may mean, each with a certainty from 0 to 1.

    All candidates of a link count, because it depends on other documents which of them exists.
    """
    addresses: dict[str, float] = {}
    for target in islice(link_targets(text), MAX_LINKS):
        fragment = target.partition("#")[2]
        for address in link_addresses(target, *place):
            if not fragment or address.endswith(f"#{fragment}"):
                _add(addresses, address, 1.0)
                continue
            _add(addresses, address, _WHOLE_PAGE)
            if address.startswith(("path:", "tail:")):
                _add(addresses, f"{address}#{fragment.lower()}", 1.0)
    return addresses


def own_addresses(place: Place, headings: Sequence[str] = ()) -> dict[str, float]:
    """Addresses of a chunk's document, and of the chunk by its headings, each with a certainty from 0 to 1."""
    addresses: dict[str, float] = {}
    of_document = document_addresses(*place)
    ends = [address for address in of_document if address.startswith("tail:")][-_MAX_ENDS:]
    for address in (*of_document[:3], *ends):
        _add(addresses, address, 1.0)
    for slug in filter(None, map(_slug, headings)):
        for address in (*of_document[1:3], *ends):
            _add(addresses, f"{address}#{slug}", 1.0)
    return addresses


def is_address(name: str) -> bool:
    """Whether a name is an address; other names are words."""
    return ":" in name


def is_path_end(name: str) -> bool:
    """Whether a name is the end of a path, which several documents may share."""
    return name.startswith("tail:") and "#" not in name


def readable_address(address: str) -> str:
    """The address in readable form: the path of a page, with the host if it is on the web."""
    return address.removeprefix(f"{_PUBLISHED}//") if is_published(address) else address.split(":", 2)[2]


def is_published(address: str) -> bool:
    """Whether an address is on the web."""
    return address.startswith(_PUBLISHED)


def _add(addresses: dict[str, float], address: str, certainty: float) -> None:
    """Add an address, unless it is too long or the location of a local copy: the paths in the copy say as much."""
    is_copy = address.startswith("uri:") and not is_published(address)
    has_room = address in addresses or len(addresses) < _MAX_ADDRESSES
    if not is_copy and has_room and len(address.encode()) <= _MAX_BYTES:
        addresses[address] = max(certainty, addresses.get(address, 0.0))


def _slug(heading: str) -> str:
    """The fragment that site generators make of a heading."""
    return _NO_SLUG.sub("", heading.strip().lower()).replace(" ", "-")


def _without_template(target: str) -> str:
    """The path in a site generator's template, from the root; another target as it is."""
    match = _TEMPLATE.match(target)
    if match is None:
        return target
    return "/" + ((match["quoted"] or "") + target[match.end() :]).lstrip("/")


def _canonical_uri(uri: str) -> str:
    """Host, canonical path, query and fragment: some documents differ only in the last two."""
    scheme, host, path, query, fragment = urlsplit(uri)
    kind = "file" if scheme in ("", "file") else "s3" if scheme in _BUCKETS else "web"
    ends = (f"?{query}" if query else "") + (f"#{fragment}" if fragment else "")
    return f"{kind}://{host.lower()}/{_canonical_path(unquote(path))}{ends}"


def _canonical_path(path: str) -> str:
    """`/Guide/Install.md`, `guide/install/` and `guide/install/index.html` are one page: `guide/install`."""
    plain = posixpath.normpath("/" + path).strip("/").lower()
    return _FOLDER_PAGE.sub("", _PAGE_SUFFIX.sub("", plain))
