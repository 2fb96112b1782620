"""A website by its sitemap: each page that the sitemap lists is fetched slowly, within bounds, by one reader.

`spark_jobs.sources.site_client` fetches and obeys `robots.txt`; `spark_jobs.sources.sitemaps` lists the pages. Links in
pages are not followed.
"""

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

from spark_jobs.formats.document import ParsedDocument, ParseLimits, Refused, Rejection, too_large
from spark_jobs.formats.encodings import in_utf8
from spark_jobs.formats.registry import file_rejection, max_bytes, suffix_of_media_type
from spark_jobs.sources.files import read_bytes
from spark_jobs.sources.site_client import CrawlBounds, SiteClient
from spark_jobs.sources.sitemaps import pages_of

_TOTAL_TIMES = 100  # the texts of all pages together, as a multiple of the largest file that is allowed


def read_website(sitemap: str, limits: ParseLimits, bounds: CrawlBounds) -> Iterator[ParsedDocument | Rejection]:
    """Every page of a sitemap, or why it was refused. Raises `InvalidInput` where robots.txt or the sitemap fails.

    Where the bounds end the run, or a part of the sitemap fails, a rejection covers the site: pages that were not read
    then keep their documents.
    """
    until = time.monotonic() + bounds.seconds
    characters_left = _TOTAL_TIMES * limits.file_bytes
    site = SiteClient(sitemap, bounds)
    try:
        fetched = 0
        for page in pages_of(site, sitemap, until):
            if isinstance(page, Rejection):
                yield page
                continue
            address, updated_at = page
            if fetched == bounds.pages or time.monotonic() > until or characters_left <= 0:
                yield _stopped(site, fetched, bounds)
                return
            fetched += 1
            for result in _read_page(site, address, updated_at, limits):
                characters_left -= len(result.text) if isinstance(result, ParsedDocument) else 0
                yield result
    finally:
        site.close()


def _stopped(site: SiteClient, fetched: int, bounds: CrawlBounds) -> Rejection:
    reason = (
        f"stopped after {fetched} pages: at most {bounds.pages} pages in {bounds.seconds:g} s are read in one run. "
        "Raise LAKEHOP_WEBSITE_MAX_PAGES or LAKEHOP_WEBSITE_MAX_SECONDS, or ingest parts of the sitemap by themselves."
    )
    return Rejection(reason, covers=f"{site.root}/")


def _read_page(
    site: SiteClient, address: str, updated_at: datetime | None, limits: ParseLimits
) -> Iterator[ParsedDocument | Rejection]:
    """The documents of a page; id and uri are its URL, which is also the title of a page without a title."""
    try:
        response = site.get(address, limits.file_bytes)
    except Refused as refused:
        yield Rejection(str(refused), address, uri=address)
        return
    name = _file_name(address, response.media_type)
    if len(response.content) > max_bytes(name, limits):
        yield Rejection(too_large(len(response.content), max_bytes(name, limits)), address, uri=address)
        return
    content = response.content
    if response.charset and response.media_type.startswith("text/"):
        content = in_utf8(content, response.charset)
    for result in read_bytes(name, address, content, limits):
        doc_id = address + result.doc_id.removeprefix(name) if result.doc_id else address
        if isinstance(result, Rejection):
            yield file_rejection(result.reason, doc_id, result.excerpt, result.uri or address)
        else:
            title = result.title if result.title != PurePosixPath(name).name else unquote(address)
            yield replace(result, doc_id=doc_id, title=title, updated_at=updated_at or result.updated_at)


def _file_name(address: str, media_type: str) -> str:
    """A name for the page as a file; its suffix is that of the media type that the server names."""
    name = unquote(PurePosixPath(urlsplit(address).path).name) or "page"
    suffix = suffix_of_media_type(media_type)
    return name if suffix is None or name.lower().endswith(suffix) else f"{name}{suffix}"
