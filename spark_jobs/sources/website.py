"""A website by its sitemap: each page that it lists, fetched slowly and within bounds by one reader.

What the site asks is done: `robots.txt` decides what is fetched and how slowly, and every request says who we are.
Nothing is followed but the sitemap: links in pages are not, and a redirect only within the same host, so that a page
can't send the reader to some other server of the network that it runs in.
"""

import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import PurePosixPath
from urllib.parse import unquote, urldefrag, urljoin, urlsplit
from urllib.robotparser import RobotFileParser
from xml.etree.ElementTree import ParseError

import httpx

from lakehouse.errors import InvalidInput
from spark_jobs.formats.parsing import Document, Limits, Refused, Rejection, refusal, too_large
from spark_jobs.sources.files import max_bytes, read_bytes

USER_AGENT = "Lakehop/0.1"
_ROBOTS_BYTES = 500_000  # what RFC 9309 asks a reader to read at least
_SITEMAP_BYTES = 50_000_000  # of the protocol
_MAX_SITEMAPS = 500
_MAX_REDIRECTS = 5
_MAX_CRAWL_DELAY_SECONDS = 60
_TIMEOUT_SECONDS = 20
_TOTAL_TIMES = 100  # all pages together, in the size of the largest file that is taken
_SUFFIX_OF_TYPE = {
    "text/html": ".html",
    "application/xhtml+xml": ".html",
    "text/plain": ".txt",
    "text/markdown": ".md",
    "text/csv": ".csv",
    "application/pdf": ".pdf",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": ".docx",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation": ".pptx",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": ".xlsx",
}


@dataclass(frozen=True)
class Bounds:
    """How much of a site is read in one run, and the least pause between two requests."""

    pages: int
    seconds: float
    delay_seconds: float


@dataclass(frozen=True)
class _Answer:
    content: bytes
    media_type: str


class _Site:
    """One host, asked politely: robots.txt first, then never faster than it and we allow."""

    def __init__(self, address: str, bounds: Bounds) -> None:
        self.root = _origin(address)
        self._client = httpx.Client(
            headers={"User-Agent": USER_AGENT}, timeout=_TIMEOUT_SECONDS, follow_redirects=False, trust_env=False
        )
        self._delay = bounds.delay_seconds
        self._next_at = 0.0
        self._robots = self._read_robots()
        wanted = float(self._robots.crawl_delay(USER_AGENT) or 0)
        self._delay = max(self._delay, min(wanted, _MAX_CRAWL_DELAY_SECONDS))

    def close(self) -> None:
        self._client.close()

    def get(self, address: str, most: int) -> _Answer:
        """The content at an address of this site. `Refused` with the reason when there is none for us."""
        for _ in range(_MAX_REDIRECTS + 1):
            if _origin(address) != self.root:
                raise Refused(
                    f"leads to {_origin(address)!r}, another host than {self.root!r}. Ingest that by its own."
                )
            if not self._robots.can_fetch(USER_AGENT, address):
                raise Refused(f"robots.txt of {self.root!r} does not allow {USER_AGENT!r} to read it. Ask the site.")
            answer, target = self._request(address, most)
            if answer is not None:
                return answer
            address = urldefrag(urljoin(address, target))[0]
        raise Refused(f"redirected more than {_MAX_REDIRECTS} times. Name the last address in the sitemap.")

    def _request(self, address: str, most: int) -> tuple[_Answer | None, str]:
        """The answer, or None and where it is to be found."""
        time.sleep(max(0.0, self._next_at - time.monotonic()))
        try:
            with self._client.stream("GET", address) as response:
                if response.is_redirect:
                    return None, response.headers["Location"]
                if response.status_code != httpx.codes.OK:
                    raise Refused(
                        f"the server answered {response.status_code} {response.reason_phrase}. Repair the page."
                    )
                content = bytearray()
                begun = time.monotonic()
                for part in response.iter_bytes():
                    content += part
                    if len(content) > most:
                        raise Refused(too_large(len(content), most))
                    if time.monotonic() - begun > _TIMEOUT_SECONDS:
                        raise Refused(f"took more than {_TIMEOUT_SECONDS} s to arrive. Try again later.")
                kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
                return _Answer(bytes(content), kind), ""
        except httpx.HTTPError as error:
            raise Refused(f"cannot be fetched: {type(error).__name__} ({error}). Try again later.") from None
        finally:
            self._next_at = time.monotonic() + self._delay

    def _read_robots(self) -> RobotFileParser:
        """What robots.txt allows: all when there is none, nothing when the server can't say (RFC 9309, 2.3.1)."""
        robots = RobotFileParser()
        address = f"{self.root}/robots.txt"
        try:
            for _ in range(_MAX_REDIRECTS):
                response = self._client.get(address)
                if not response.is_redirect or _origin(urljoin(address, response.headers["Location"])) != self.root:
                    break
                address = urljoin(address, response.headers["Location"])
        except httpx.HTTPError as error:
            raise InvalidInput(
                f"site {self.root!r}: robots.txt cannot be read ({type(error).__name__}: {error}). "
                "Check the address and that the Spark workers reach it, or try again later."
            ) from None
        if response.is_server_error or response.is_redirect:
            raise InvalidInput(
                f"site {self.root!r}: robots.txt answers {response.status_code}, so nothing may be read. "
                "Name the sitemap by the host that it leads to, or try again later."
            )
        text = response.content[:_ROBOTS_BYTES].decode(errors="replace") if response.is_success else ""
        robots.parse(text.splitlines())
        return robots


def read_website(sitemap: str, limits: Limits, bounds: Bounds) -> Iterator[Document | Rejection]:
    """Every page of a sitemap, or why it is not taken. `InvalidInput` when robots.txt or the sitemap can't be read.

    What is not fetched for the bounds, or stands in a part of the sitemap that can't be read, counts as not seen.
    """
    until = time.monotonic() + bounds.seconds
    left = _TOTAL_TIMES * limits.file_bytes
    site = _Site(sitemap, bounds)
    try:
        fetched = 0
        for entry in _entries(site, sitemap, until):
            if isinstance(entry, Rejection):
                yield entry
                continue
            address, updated_at = entry
            if fetched == bounds.pages or time.monotonic() > until or left <= 0:
                yield _not_reached(site, fetched, bounds)
                return
            fetched += 1
            for parsed in _page(site, address, updated_at, limits):
                left -= len(parsed.text) if isinstance(parsed, Document) else 0
                yield parsed
    finally:
        site.close()


def _not_reached(site: _Site, fetched: int, bounds: Bounds) -> Rejection:
    reason = (
        f"stopped after {fetched} pages: at most {bounds.pages} pages in {bounds.seconds:g} s are read in one run. "
        "Raise LAKEHOP_WEBSITE_MAX_PAGES or LAKEHOP_WEBSITE_MAX_SECONDS, or ingest parts of the sitemap by themselves."
    )
    return Rejection(reason, covers=f"{site.root}/")


def _page(site: _Site, address: str, updated_at: datetime | None, limits: Limits) -> Iterator[Document | Rejection]:
    """The page's document: its id and address are its URL, its title its own."""
    try:
        answer = site.get(address, limits.file_bytes)
    except Refused as refused:
        yield Rejection(str(refused), address, uri=address)
        return
    name = _name(address, answer.media_type)
    if len(answer.content) > max_bytes(name, limits):
        yield Rejection(too_large(len(answer.content), max_bytes(name, limits)), address, uri=address)
        return
    for parsed in read_bytes(name, address, answer.content, limits):
        doc_id = address + parsed.doc_id.removeprefix(name) if parsed.doc_id else address
        if isinstance(parsed, Rejection):
            yield refusal(parsed.reason, doc_id, parsed.excerpt, parsed.uri or address)
        else:
            title = parsed.title if parsed.title != PurePosixPath(name).name else unquote(address)
            yield Document(doc_id, title, parsed.text, parsed.uri, updated_at=updated_at or parsed.updated_at)


def _name(address: str, media_type: str) -> str:
    """A file's name for a page, whose suffix says what the server says it is."""
    name = unquote(PurePosixPath(urlsplit(address).path).name) or "page"
    suffix = _SUFFIX_OF_TYPE.get(media_type)
    return name if suffix is None or name.lower().endswith(suffix) else f"{name}{suffix}"


def _entries(site: _Site, sitemap: str, until: float) -> Iterator[tuple[str, datetime | None] | Rejection]:
    """Pages in the order of the sitemap, each once, and the sitemaps that can't be read. Of an index, all its parts."""
    waiting, known, pages = [sitemap], {sitemap}, set[str]()
    while waiting:
        address = waiting.pop(0)
        try:
            found, is_index = _sitemap(site.get(address, _SITEMAP_BYTES).content, address)
        except Refused as refused:
            if address == sitemap:
                raise InvalidInput(f"sitemap {sitemap!r}: {refused}") from None
            yield Rejection(f"part of the sitemap: {refused}", address, covers=f"{site.root}/", uri=address)
            continue
        if time.monotonic() > until:
            yield Rejection(
                "out of time while reading sitemaps. Raise LAKEHOP_WEBSITE_MAX_SECONDS.", covers=f"{site.root}/"
            )
            return
        new = [(where, when) for where, when in found if where not in (known if is_index else pages)]
        if not is_index:
            pages.update(where for where, _ in new)
            yield from dict(new).items()
            continue
        if len(known) + len(new) > _MAX_SITEMAPS:
            yield Rejection(
                f"an index of more than {_MAX_SITEMAPS} sitemaps. Ingest them by themselves.", covers=f"{site.root}/"
            )
            return
        known.update(where for where, _ in new)
        waiting += [where for where, _ in new]


def _sitemap(content: bytes, address: str) -> tuple[list[tuple[str, datetime | None]], bool]:
    """What a sitemap lists, with when each changed, and whether those are sitemaps themselves."""
    from defusedxml import DefusedXmlException
    from defusedxml.ElementTree import fromstring

    if content.startswith(b"\x1f\x8b"):
        content = _inflated(content)
    try:
        root = fromstring(content, forbid_dtd=True)
    except DefusedXmlException as error:
        raise Refused(f"its XML declares entities or a DTD ({type(error).__name__}). Write it without.") from None
    except (ParseError, ValueError, RecursionError) as error:
        raise Refused(f"no valid XML ({error}). Name a sitemap by the protocol of sitemaps.org.") from None
    kind = root.tag.rpartition("}")[2]
    if kind not in ("urlset", "sitemapindex"):
        raise Refused(f"its root is {kind!r}, must be 'urlset' or 'sitemapindex'. Name a sitemap.")
    listed = []
    for entry in root:
        values = {child.tag.rpartition("}")[2]: (child.text or "").strip() for child in entry}
        if where := values.get("loc"):
            listed.append((urldefrag(urljoin(address, where))[0], _moment(values.get("lastmod", ""))))
    return listed, kind == "sitemapindex"


def _inflated(content: bytes) -> bytes:
    try:
        inflate = zlib.decompressobj(wbits=31)
        whole = inflate.decompress(content, _SITEMAP_BYTES + 1)
    except zlib.error as error:
        raise Refused(f"no valid gzip ({error}). Repair the sitemap.") from None
    if len(whole) > _SITEMAP_BYTES:
        raise Refused(too_large(len(whole), _SITEMAP_BYTES))
    return whole


def _moment(value: str) -> datetime | None:
    """`lastmod`; None for what is no full date, which is no reason to leave a page out."""
    try:
        moment = datetime.fromisoformat(value)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _origin(address: str) -> str:
    """Scheme, host and port. `Refused` for what is no web address."""
    parts = urlsplit(address)
    try:
        port = parts.port
    except ValueError:
        port = None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise Refused(f"{address[:200]!r} is no web address. Correct the sitemap.")
    default = {"http": 80, "https": 443}[parts.scheme]
    return f"{parts.scheme}://{parts.hostname.lower()}" + ("" if port in (None, default) else f":{port}")
