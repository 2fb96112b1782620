"""Sitemaps by the protocol of sitemaps.org: the pages that they list, from an index too.

Our own parser, because of torn files: `ultimate-sitemap-parser` 1.8 reads a sitemap that ends in the middle as a whole,
shorter sitemap. A snapshot of the website would then delete the documents of all pages behind the tear. That library
also fetches by itself, so our bounds on pages, seconds and hosts would have to go into its callbacks.
"""

import time
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import NamedTuple
from urllib.parse import urldefrag, urljoin
from xml.etree.ElementTree import ParseError

from lakehouse.errors import InvalidInput
from spark_jobs.formats.document import Refused, Rejection, too_large
from spark_jobs.sources.site_client import SiteClient

_SITEMAP_BYTES = 50_000_000  # the protocol's limit
_MAX_SITEMAPS = 500


class Sitemap(NamedTuple):
    """The addresses that one file lists, with the time of their last change; of an index they are sitemaps."""

    entries: list[tuple[str, datetime | None]]
    is_index: bool


def pages_of(site: SiteClient, sitemap: str, until: float) -> Iterator[tuple[str, datetime | None] | Rejection]:
    """Pages in the order of the sitemap, each once, and a rejection for each part of an index that cannot be read.

    Stops at `until`, on the monotonic clock. Raises `InvalidInput` where the sitemap itself cannot be read.
    """
    waiting, sitemaps, pages = [sitemap], {sitemap}, set[str]()
    while waiting:
        address = waiting.pop(0)
        try:
            entries, is_index = parse_sitemap(site.get(address, _SITEMAP_BYTES).content, address)
        except Refused as refused:
            if address == sitemap:
                raise InvalidInput(f"sitemap {sitemap!r}: {refused}") from None
            yield Rejection(f"part of the sitemap: {refused}", address, covers=f"{site.root}/", uri=address)
            continue
        if time.monotonic() > until:
            yield _incomplete(site, "out of time while reading sitemaps. Raise LAKEHOP_WEBSITE_MAX_SECONDS.")
            return
        known = sitemaps if is_index else pages
        new = {page: changed_at for page, changed_at in entries if page not in known}
        if is_index and len(known) + len(new) > _MAX_SITEMAPS:
            yield _incomplete(site, f"an index of more than {_MAX_SITEMAPS} sitemaps. Ingest them by themselves.")
            return
        known.update(new)
        if is_index:
            waiting += new
        else:
            yield from new.items()


def _incomplete(site: SiteClient, reason: str) -> Rejection:
    """A rejection that covers the whole site: a snapshot then deletes none of its documents."""
    return Rejection(reason, covers=f"{site.root}/")


def parse_sitemap(content: bytes, address: str) -> Sitemap:
    """The sitemap in a file at `address`, XML or gzip. Raises `Refused` for any other content, and for a DTD."""
    from defusedxml import DefusedXmlException
    from defusedxml.ElementTree import fromstring

    if content.startswith(b"\x1f\x8b"):
        content = _inflate(content)
    try:
        root = fromstring(content, forbid_dtd=True)
    except DefusedXmlException as error:
        raise Refused(f"its XML declares entities or a DTD ({type(error).__name__}). Write it without.") from None
    except (ParseError, ValueError, RecursionError) as error:
        raise Refused(f"no valid XML ({error}). Name a sitemap by the protocol of sitemaps.org.") from None
    root_name = root.tag.rpartition("}")[2]
    if root_name not in ("urlset", "sitemapindex"):
        raise Refused(f"its root is {root_name!r}, must be 'urlset' or 'sitemapindex'. Name a sitemap.")
    entries = []
    for entry in root:
        values = {child.tag.rpartition("}")[2]: (child.text or "").strip() for child in entry}
        if location := values.get("loc"):
            entries.append((urldefrag(urljoin(address, location))[0], _changed_at(values.get("lastmod", ""))))
    return Sitemap(entries, is_index=root_name == "sitemapindex")


def _inflate(content: bytes) -> bytes:
    try:
        inflated = zlib.decompressobj(wbits=31).decompress(content, _SITEMAP_BYTES + 1)
    except zlib.error as error:
        raise Refused(f"no valid gzip ({error}). Repair the sitemap.") from None
    if len(inflated) > _SITEMAP_BYTES:
        raise Refused(too_large(len(inflated), _SITEMAP_BYTES))
    return inflated


def _changed_at(lastmod: str) -> datetime | None:
    """None for a value that is no full date: the page is read all the same."""
    try:
        changed_at = datetime.fromisoformat(lastmod)
        return changed_at.replace(tzinfo=UTC) if changed_at.tzinfo is None else changed_at.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
