"""The HTTP client for one website: it obeys `robots.txt`, pauses between requests, and never leaves the host.

Every request names Lakehop. Redirects are followed only within the host, so that a page cannot direct the reader to
another server of the network that Spark runs in. Nothing is tried twice: the next run reads a failed page again.
"""

import re
import time
from dataclasses import dataclass
from urllib.parse import urldefrag, urljoin, urlsplit

import httpx
from protego import Protego

from lakehouse.errors import InvalidInput
from spark_jobs.formats.document import Refused, too_large

USER_AGENT = "Lakehop/0.1"
_PRODUCT = "Lakehop"  # robots.txt names a crawler without its version
_ROBOTS_BYTES = 500_000  # RFC 9309 asks for at least that much
# Google's specification reads `lakehop/1.0` and `lakehop*` in robots.txt as `lakehop`; Protego takes the name whole.
_AGENT_LINE = re.compile(r"^([ \t]*user-?agent[ \t]*:[ \t]*[a-z_-]+)[^\r\n]*", re.IGNORECASE | re.MULTILINE)
_MAX_REDIRECTS = 5
_MAX_CRAWL_DELAY_S = 60
_TIMEOUT_S = 20


@dataclass(frozen=True)
class CrawlBounds:
    """The most that one run reads of a website, and the shortest pause between two requests."""

    pages: int
    seconds: float
    delay_seconds: float


@dataclass(frozen=True)
class WebContent:
    """The body of a response, and its media type in lower case without parameters."""

    content: bytes
    media_type: str
    charset: str | None = None  # that the server names


class SiteClient:
    """Reads one host, with the longer of two pauses between requests: ours, and the Crawl-delay of robots.txt."""

    def __init__(self, address: str, bounds: CrawlBounds) -> None:
        self.root = origin_of(address)
        self._client = httpx.Client(
            headers={"User-Agent": USER_AGENT}, timeout=_TIMEOUT_S, follow_redirects=False, trust_env=False
        )
        self._delay_s = bounds.delay_seconds
        self._next_request_at = 0.0  # on the monotonic clock
        self._robots = self._read_robots()
        crawl_delay_s = self._robots.crawl_delay(_PRODUCT) or 0.0
        self._delay_s = max(self._delay_s, min(crawl_delay_s, _MAX_CRAWL_DELAY_S))

    def close(self) -> None:
        self._client.close()

    def get(self, address: str, max_bytes: int) -> WebContent:
        """The content at an address of this site. Raises `Refused` with the reason where it cannot be read."""
        for _ in range(_MAX_REDIRECTS + 1):
            if origin_of(address) != self.root:
                raise Refused(
                    f"leads to {origin_of(address)!r}, another host than {self.root!r}. Ingest that by its own."
                )
            if not self._robots.can_fetch(address, _PRODUCT):
                raise Refused(f"robots.txt of {self.root!r} does not allow {USER_AGENT!r} to read it. Ask the site.")
            response = self._request(address, max_bytes)
            if isinstance(response, WebContent):
                return response
            address = urldefrag(urljoin(address, response))[0]
        raise Refused(f"redirected more than {_MAX_REDIRECTS} times. Name the last address in the sitemap.")

    def _request(self, address: str, max_bytes: int) -> WebContent | str:
        """The content, or the target of a redirect."""
        time.sleep(max(0.0, self._next_request_at - time.monotonic()))
        try:
            with self._client.stream("GET", address) as response:
                if response.is_redirect:
                    return response.headers["Location"]
                if response.status_code != httpx.codes.OK:
                    raise Refused(
                        f"the server answered {response.status_code} {response.reason_phrase}. Repair the page."
                    )
                content = bytearray()
                started_at = time.monotonic()
                for chunk in response.iter_bytes():
                    content += chunk
                    if len(content) > max_bytes:
                        raise Refused(too_large(len(content), max_bytes))
                    if time.monotonic() - started_at > _TIMEOUT_S:
                        raise Refused(f"took more than {_TIMEOUT_S} s to arrive. Try again later.")
                media_type = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
                return WebContent(bytes(content), media_type, response.charset_encoding)
        except httpx.HTTPError as error:
            raise Refused(f"cannot be fetched: {type(error).__name__} ({error}). Try again later.") from None
        finally:
            self._next_request_at = time.monotonic() + self._delay_s

    def _read_robots(self) -> Protego:
        """The rules of robots.txt. RFC 9309, 2.3.1: no file allows everything, an error of the server nothing."""
        address = f"{self.root}/robots.txt"
        try:
            for _ in range(_MAX_REDIRECTS):
                response = self._client.get(address)
                if not response.is_redirect or origin_of(urljoin(address, response.headers["Location"])) != self.root:
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
        text = response.content[:_ROBOTS_BYTES].decode("utf-8-sig", errors="replace") if response.is_success else ""
        return Protego.parse(_AGENT_LINE.sub(r"\1", text))


def origin_of(address: str) -> str:
    """Scheme, host and port of a web address. Raises `Refused` for any other text."""
    parts = urlsplit(address)
    try:
        port = parts.port
    except ValueError:
        port = None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise Refused(f"{address[:200]!r} is no web address. Correct the sitemap.")
    default_port = {"http": 80, "https": 443}[parts.scheme]
    return f"{parts.scheme}://{parts.hostname.lower()}" + ("" if port in (None, default_port) else f":{port}")
