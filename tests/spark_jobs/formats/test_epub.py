"""Books: their chapters in the order of reading."""

import io

from spark_jobs.formats.document import ParseLimits
from spark_jobs.formats.registry import read_document
from tests.spark_jobs.formats import samples

LIMITS = ParseLimits(document_bytes=100_000, file_bytes=1_000_000, seconds=30, memory_mb=512)
_BOOK = """<?xml version="1.0"?><package xmlns="http://www.idpf.org/2007/opf"><metadata
xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>Pumps</dc:title><dc:creator>Mia Berg</dc:creator></metadata>
<manifest><item id="n" href="nav.xhtml" media-type="application/xhtml+xml" properties="nav"/>
<item id="two" href="text/two%20b.xhtml" media-type="application/xhtml+xml"/>
<item id="one" href="text/one.xhtml" media-type="application/xhtml+xml"/></manifest>
<spine><itemref idref="n"/><itemref idref="one"/><itemref idref="two"/></spine></package>"""


def _chapter(text: str) -> str:
    return f'<?xml version="1.0" encoding="utf-8"?><!DOCTYPE html><html><body>{text}</body></html>'


def test_chapters_come_in_the_order_of_reading_with_title_and_author() -> None:
    content = samples.zipped(
        {
            "META-INF/container.xml": '<container><rootfile full-path="OEBPS/book.opf"/></container>',
            "OEBPS/book.opf": _BOOK,
            "OEBPS/nav.xhtml": _chapter("Contents"),
            "OEBPS/text/two b.xhtml": _chapter("<h1>Second</h1><p>max_idle</p>"),
            "OEBPS/text/one.xhtml": _chapter("<h1>First</h1>"),
        }
    )

    book = read_document("a.epub", "file:///a", io.BytesIO(content), LIMITS)

    assert (book.title, book.author, book.text) == ("Pumps", "Mia Berg", "# First\n\n# Second\n\nmax_idle")
