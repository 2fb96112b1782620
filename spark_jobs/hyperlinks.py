"""Hyperlinks in Markdown and HTML, and the addresses by which a link and a document find each other. No Spark here.

An address is a string with a kind before its first colon. A document has some; a link has candidates, best first. The
first candidate that exactly one document of the tenant has is where the link leads, so resolving links is a join.
"""

import posixpath
import re
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import unquote, urljoin, urlsplit

from spark_jobs.chunking import front_matter

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
_DECLARED = re.compile(r"^(?:permalink|redirect_from|aliases|slug)[ \t]*:(?P<values>.*(?:\n[ \t]*-.*)*)", re.MULTILINE)
_DECLARED_VALUE = re.compile(r"[^\s\[\],\"'-][^\s\[\],\"']*")
_PAGE_SUFFIX = re.compile(r"\.(?:md|markdown|mdx|rst|html?|txt)$")
_FOLDER_PAGE = re.compile(r"(?:^|/)(?:index|readme)$")
_WEB = ("http", "https", "file", "s3", "s3a")


class Hyperlink(NamedTuple):
    """The target of a link as written, between two character offsets."""

    start: int
    end: int
    target: str


def hyperlinks(text: str) -> Iterator[Hyperlink]:
    """Links of Markdown (inline, definitions, bare addresses) and HTML; none to a place in the same document."""
    for match in _LINK.finditer(text):
        group = match.lastgroup or ""
        target = match[group].strip()
        if target and not target.startswith("#"):
            yield Hyperlink(match.start(group), match.end(group), target)


def without_targets(text: str) -> str:
    """The text with every link's target blanked out, offsets kept: the words of an address mention nothing."""
    parts, end = [], 0
    for match in _LINK.finditer(text):
        start, until = match.span(match.lastgroup or 0)
        parts += [text[end:start], "\0" * (until - start)]
        end = until
    return "".join([*parts, text[end:]])


def link_addresses(target: str, source: str, doc_id: str, uri: str) -> list[str]:
    """Where a link may lead from the document that holds it, best first."""
    plain = _without_template(target)
    try:
        scheme, host, path, query, _ = urlsplit(plain)
        absolute = urljoin(uri.partition("#")[0], plain)
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


def _path_addresses(path: str, source: str, doc_id: str) -> list[str]:
    """A relative path is meant from the document's folder, or, where pages are folders, from the document itself."""
    path = unquote(path)
    if path.startswith("/"):
        places = [_canonical_path(path)]
    else:
        bases = (posixpath.dirname(doc_id), _canonical_path(doc_id))
        places = [_canonical_path(posixpath.join("/", base, path)) for base in bases]
    declared = [f"declared:{source}:{place}" for place in places]
    tail = _canonical_path(posixpath.join("/", path))
    return [*(f"path:{source}:{place}" for place in places), *declared, f"tail:{source}:{tail}"]


def document_addresses(source: str, doc_id: str, uri: str) -> list[str]:
    """The addresses of a document: its id, its URI, its path, and each end of its path for links that leave out a root.

    Site generators publish `docs/guide/install.md` as `/guide/install/`, or as `install.md` in one flat folder.
    """
    parts = _canonical_path(doc_id).split("/")
    tails = ["/".join(parts[first:]) for first in range(len(parts))]
    named = [f"id:{source}:{doc_id}", f"uri:{_canonical_uri(uri)}", f"path:{source}:{tails[0]}"]
    return [*named, *(f"tail:{source}:{tail}" for tail in tails if tail)]


def declared_addresses(text: str, source: str) -> list[str]:
    """The addresses that a document's front matter gives it: `permalink`, `redirect_from`, `aliases`, `slug`."""
    return [
        f"declared:{source}:{_canonical_path(value[0])}"
        for field in _DECLARED.finditer(front_matter(text))
        for value in _DECLARED_VALUE.finditer(field["values"])
    ]


def _without_template(target: str) -> str:
    """The path that a site generator's template holds, from the root; anything else as it is."""
    match = _TEMPLATE.match(target)
    if match is None:
        return target
    return "/" + ((match["quoted"] or "") + target[match.end() :]).lstrip("/")


def _canonical_uri(uri: str) -> str:
    """Host, canonical path, then query and fragment as they are: some documents differ in nothing else."""
    scheme, host, path, query, fragment = urlsplit(uri)
    kind = "file" if scheme in ("", "file") else "s3" if scheme in ("s3", "s3a") else "web"
    ends = (f"?{query}" if query else "") + (f"#{fragment}" if fragment else "")
    return f"{kind}://{host.lower()}/{_canonical_path(unquote(path))}{ends}"


def _canonical_path(path: str) -> str:
    """`/Guide/Install.md`, `guide/install/` and `guide/install/index.html` are one page: `guide/install`."""
    plain = posixpath.normpath("/" + path).strip("/").lower()
    return _FOLDER_PAGE.sub("", _PAGE_SUFFIX.sub("", plain))
