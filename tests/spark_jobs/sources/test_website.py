"""A website by its sitemap, against a real HTTP server."""

import gzip
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from lakehouse.errors import InvalidInput
from lakehouse.tables import DOCUMENTS
from spark_jobs.formats.document import ParsedDocument, ParseLimits, Rejection
from spark_jobs.sources.site_client import USER_AGENT, CrawlBounds
from spark_jobs.sources.website import read_website
from tests.spark_jobs.conftest import Lake
from tests.spark_jobs.formats import samples

LIMITS = ParseLimits(document_bytes=10_000, file_bytes=100_000, seconds=30, memory_mb=512)
NAMESPACE = 'xmlns="http://www.sitemaps.org/schemas/sitemap/0.9"'

Response = tuple[int, str, bytes]
"""Status, media type or redirect target, body."""


class Site:
    """A server whose responses a test sets; it records every request as path, time and user agent."""

    def __init__(self, port: int) -> None:
        self.root = f"http://127.0.0.1:{port}"
        self.responses: dict[str, Response] = {}
        self.requests: list[tuple[str, float, str]] = []

    def page(self, path: str, content: str | bytes, media_type: str = "text/html", status: int = 200) -> None:
        self.responses[path] = (status, media_type, content if isinstance(content, bytes) else content.encode())

    def redirect(self, path: str, target: str) -> None:
        self.responses[path] = (302, target, b"")

    def sitemap(self, path: str, *entries: str, kind: str = "urlset") -> None:
        inner = "sitemap" if kind == "sitemapindex" else "url"
        listed = "".join(f"<{inner}>{entry}</{inner}>" for entry in entries)
        self.page(path, f'<?xml version="1.0"?><{kind} {NAMESPACE}>{listed}</{kind}>', "application/xml")

    def loc(self, path: str, lastmod: str = "") -> str:
        return f"<loc>{self.root}{path}</loc>" + (f"<lastmod>{lastmod}</lastmod>" if lastmod else "")

    def read(self, path: str = "/sitemap.xml", **bounds: float) -> list[ParsedDocument | Rejection]:
        values = {"pages": 100, "seconds": 60, "delay_seconds": 0} | bounds
        return list(read_website(self.root + path, LIMITS, CrawlBounds(**values)))  # type: ignore[arg-type]

    def results(self, **bounds: float) -> dict[str, str]:
        """Text or reason by path."""
        return {
            (result.doc_id or "").removeprefix(self.root): (
                result.text if isinstance(result, ParsedDocument) else result.reason
            )
            for result in self.read(**bounds)
        }


@pytest.fixture
def site(free_port: Callable[[], int]) -> Iterator[Site]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            served.requests.append((self.path, time.monotonic(), self.headers["User-Agent"]))
            status, kind, content = served.responses.get(self.path, (404, "text/plain", b""))
            self.send_response(status)
            self.send_header("Location" if status == 302 else "Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", free_port()), Handler) as server:
        served = Site(server.server_port)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield served
        server.shutdown()


def test_pages_of_all_parts_of_a_sitemap_are_documents(site: Site) -> None:
    site.sitemap("/sitemap.xml", site.loc("/a.xml"), site.loc("/b.xml.gz"), kind="sitemapindex")
    site.sitemap("/a.xml", site.loc("/guide", "2026-11-05T10:30:00+01:00"), site.loc("/plain.txt#top", "2026-11"))
    site.sitemap("/b.xml.gz", site.loc("/report", "2026-11-06"), site.loc("/guide"))
    site.responses["/b.xml.gz"] = (200, "application/gzip", gzip.compress(site.responses["/b.xml.gz"][2]))
    site.page("/guide", "<head><title>The guide</title></head><p>Read it.</p>")
    site.page("/plain.txt", "Plain.", "text/plain; charset=utf-8")
    site.page("/report", samples.pdf("Revenue rose."), "application/pdf")

    assert [vars(result) for result in site.read()] == [
        {
            "doc_id": f"{site.root}{path}",
            "title": title.format(site.root),
            "text": text,
            "uri": f"{site.root}{path}",
            "acl_groups": None,
            "updated_at": updated_at,
            "document_type": kind,
            "author": None,
        }
        for path, title, text, updated_at, kind in [
            ("/guide", "The guide", "Read it.", datetime(2026, 11, 5, 9, 30, tzinfo=UTC), "html"),
            ("/plain.txt", "{}/plain.txt", "Plain.", None, "txt"),
            ("/report", "{}/report", "Revenue rose.", datetime(2026, 11, 6, tzinfo=UTC), "pdf"),
        ]
    ]
    assert {agent for _, _, agent in site.requests} == {USER_AGENT}


def test_the_charset_of_the_server_is_believed_before_the_pages(site: Site) -> None:
    site.sitemap("/sitemap.xml", site.loc("/a"))
    site.page("/a", "<meta charset=koi8-r><p>Größe</p>".encode("cp1252"), "text/html; charset=ISO-8859-1")

    [page] = site.read()

    assert isinstance(page, ParsedDocument)
    assert page.text == "Größe"


@pytest.mark.parametrize(
    ("robots", "forbidden"),
    [
        ("User-agent: *\nDisallow: /\nAllow: /a\nAllow: /sitemap\n", {"/b", "/b.txt"}),  # the longest rule decides
        ("User-agent: *\nDisallow: /*.txt$\n", {"/b.txt"}),
        ("\ufeffUser-agent: *\nDisallow: /b\n", {"/b", "/b.txt"}),
        ("User-agent: other\nUser-agent: LakeHop/2.0\nDisallow: /a\n\nUser-agent: *\nDisallow: /\n", {"/a"}),
        ("User-agent: lakehop\nDisallow: /a\n\nUser-agent: lakehop\nDisallow: /b.\n", {"/a", "/b.txt"}),
        ("User-agent: hop\nDisallow: /\n\nUser-agent: *\nAllow: /\n", set()),
    ],
)
def test_robots_txt_is_read_by_rfc_9309(site: Site, robots: str, forbidden: set[str]) -> None:
    site.page("/robots.txt", robots, "text/plain")
    site.sitemap("/sitemap.xml", *(site.loc(path) for path in ("/a", "/b", "/b.txt")))
    for path in ("/a", "/b", "/b.txt"):
        site.page(path, "Some text.", "text/plain")

    refused = {path for path, text in site.results().items() if "robots.txt" in text}

    assert refused == forbidden
    assert {path for path, _, _ in site.requests} == {"/robots.txt", "/sitemap.xml", "/a", "/b", "/b.txt"} - forbidden


def test_a_sitemap_behind_a_byte_order_mark_is_read(site: Site) -> None:
    site.sitemap("/sitemap.xml", site.loc("/a"))
    status, media_type, body = site.responses["/sitemap.xml"]
    site.responses["/sitemap.xml"] = (status, media_type, gzip.compress(b"\xef\xbb\xbf" + body))
    site.page("/a", "Some text.", "text/plain")

    assert site.results() == {"/a": "Some text."}


def test_what_robots_txt_forbids_is_not_requested_and_its_delay_is_kept(site: Site) -> None:
    site.page("/robots.txt", "User-agent: *\nDisallow: /private\nCrawl-delay: 1\n", "text/plain")
    site.sitemap("/sitemap.xml", site.loc("/private/a"), site.loc("/b"))
    site.page("/b", "B.", "text/plain")

    results = site.results()

    assert results["/private/a"].startswith(f"robots.txt of '{site.root}' does not allow 'Lakehop/0.1'")
    assert results["/b"] == "B."
    times = [at for path, at, _ in site.requests if path != "/robots.txt"]
    assert [path for path, _, _ in site.requests] == ["/robots.txt", "/sitemap.xml", "/b"]
    assert times[1] - times[0] >= 0.9


def test_a_page_that_fails_is_a_rejection_with_its_id(site: Site) -> None:
    paths = ("/gone", "/away", "/around", "/large", "/picture", "/moved", "/ok")
    site.sitemap("/sitemap.xml", *(site.loc(path) for path in paths), "<loc>https://elsewhere.example/x</loc>")
    site.redirect("/away", "http://localhost:1/secret")
    site.redirect("/around", "/around")
    site.redirect("/moved", "/ok")
    site.page("/large", "x" * 10_001)
    site.page("/picture", b"\x89PNG\0", "image/png")
    site.page("/ok", "<p>Fine.</p>")

    beginnings = {path: text.split(".")[0].split(",")[0].split(" '")[0] for path, text in site.results().items()}

    assert beginnings == {
        "/gone": "the server answered 404 Not Found",
        "/away": "leads to",
        "/around": "redirected more than 5 times",
        "/large": "oversize: 10",
        "/picture": "binary file: holds NUL bytes",
        "/moved": "Fine",
        "/ok": "Fine",
        "https://elsewhere.example/x": "leads to",
    }


def test_what_the_bounds_leave_out_counts_as_not_seen(site: Site) -> None:
    site.sitemap("/sitemap.xml", *(site.loc(f"/{n}") for n in range(5)))
    for n in range(5):
        site.page(f"/{n}", f"Page {n}.", "text/plain")

    parsed = site.read(pages=2)

    last = parsed[-1]
    assert [type(result) for result in parsed] == [ParsedDocument, ParsedDocument, Rejection]
    assert isinstance(last, Rejection)
    assert last.reason.startswith("stopped after 2 pages: at most 2 pages in 60 s are read")
    assert last.covers == f"{site.root}/"


def test_a_part_of_the_sitemap_that_fails_hides_its_pages(site: Site) -> None:
    site.sitemap("/sitemap.xml", site.loc("/gone.xml"), site.loc("/bomb.xml"), kind="sitemapindex")
    entities = '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><urlset><url><loc>&b;</loc></url></urlset>'
    site.page("/bomb.xml", entities, "application/xml")

    parsed = site.read()

    assert all(isinstance(result, Rejection) and result.covers == f"{site.root}/" for result in parsed)
    assert [vars(result)["reason"].split(".")[0].split("(")[0].strip() for result in parsed] == [
        "part of the sitemap: the server answered 404 Not Found",
        "part of the sitemap: its XML declares entities or a DTD",
    ]


def test_a_torn_sitemap_is_no_shorter_sitemap(site: Site) -> None:
    site.sitemap("/sitemap.xml", site.loc("/a"), site.loc("/b"))
    site.page("/sitemap.xml", site.responses["/sitemap.xml"][2][:-30], "application/xml")

    with pytest.raises(InvalidInput, match="no valid XML"):
        site.read()


def test_a_site_that_cannot_be_read_at_all_fails_the_run(site: Site) -> None:
    with pytest.raises(InvalidInput, match=r"sitemap 'http.*the server answered 404"):
        site.read()
    site.page("/sitemap.xml", "<html/>", "application/xml")
    with pytest.raises(InvalidInput, match="its root is 'html', must be 'urlset' or 'sitemapindex'"):
        site.read()
    site.page("/robots.txt", "", status=503)
    with pytest.raises(InvalidInput, match=r"robots.txt answers 503, so nothing may be read"):
        site.read()


@pytest.mark.integration
def test_a_snapshot_of_a_site_keeps_the_pages_that_failed(site: Site, lake: Lake) -> None:
    quick = lake.settings.model_copy(update={"website_delay_seconds": 0})
    site.sitemap("/sitemap.xml", site.loc("/a"), site.loc("/b"), site.loc("/c"))
    for name in "abc":
        site.page(f"/{name}", f"<p>Page {name}.</p>")
    assert lake.parse(f"{site.root}/sitemap.xml", settings=quick, snapshot=True)["added"] == 3

    site.sitemap("/sitemap.xml", site.loc("/a"), site.loc("/b"))
    site.page("/b", "down", status=503)
    counts = lake.parse(f"{site.root}/sitemap.xml", settings=quick, snapshot=True)

    assert (counts["unchanged"], counts["quarantined"], counts["deleted"]) == (1, 1, 1)
    assert {row["doc_id"] for row in lake.rows(DOCUMENTS) if not row["deleted"]} == {f"{site.root}/a", f"{site.root}/b"}
