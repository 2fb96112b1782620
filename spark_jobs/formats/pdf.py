"""PDFs as Markdown: the text in the file, and for scanned pages the text that OCR recognises.

OCR needs the program Tesseract on the machine; nothing here downloads it. Without it a scanned PDF is refused with that
reason: an empty document would look like a successful ingest.
"""

import io
import shutil
import subprocess
from typing import IO, Any

from spark_jobs.formats.document import ExtractedText, ParseLimits, Refused
from spark_jobs.formats.format import Format

_END_BYTES = 4096
_MAX_TABLE_PAGES = 40  # finding tables takes half a second a page; a longer PDF is read as running text
_MAX_OCR_PAGES = 200
_OCR_DPI = 200  # a line of 10 points becomes 28 pixels high; more takes longer and recognises no more
_MIN_SCAN_SHARE = 0.5  # a picture over half of the page is a scan, a smaller picture a logo
_MAX_PIXELS = 40_000_000
_JUNK_TITLES = ("microsoft ", "untitled", "powerpoint presentation", "slide 1")


def read_pdf(file: IO[bytes], limits: ParseLimits) -> ExtractedText:
    """The text of all pages. Raises `Refused` for a damaged or encrypted PDF, and for scans that cannot be read."""
    import pypdfium2

    content = file.read()
    if not content.lstrip()[:1024].count(b"%PDF-"):
        raise Refused("damaged: no PDF (it does not begin with %PDF-). Get a whole copy.")
    if b"%%EOF" not in content[-_END_BYTES:]:
        raise Refused("truncated: the PDF ends before its end mark (%%EOF). Get a whole copy.")
    try:
        pdf = pypdfium2.PdfDocument(content)
    except pypdfium2.PdfiumError as error:
        if "assword" in str(error) or "ecurity" in str(error):
            raise Refused("encrypted: the PDF is under a password. Save it without one.") from None
        raise Refused(f"damaged: no valid PDF ({error}). Get a whole copy, or print it to a new PDF.") from None
    try:
        pages = [_page_text(pdf, number) for number in range(len(pdf))]
        title = _useful_title(str(pdf.get_metadata_dict().get("Title", "")))
        scanned = [number for number, text in enumerate(pages) if not text.strip() and _is_scan(pdf, number)]
        if scanned:
            return ExtractedText("\n\n".join(_with_scans(pdf, pages, scanned)), title)
        may_have_tables = len(pages) <= _MAX_TABLE_PAGES and any(text.strip() for text in pages)
        return ExtractedText(_with_tables(content) if may_have_tables else "\n\n".join(pages), title)
    finally:
        pdf.close()


def _with_tables(content: bytes) -> str:
    from markitdown import StreamInfo
    from markitdown.converters import PdfConverter

    text = PdfConverter().convert(io.BytesIO(content), StreamInfo(extension=".pdf")).markdown
    return str(text).replace("\f", "\n").strip()


def _page_text(pdf: Any, number: int) -> str:
    page = pdf[number]
    text = page.get_textpage()
    try:
        return str(text.get_text_bounded()).replace("\r\n", "\n").strip()
    finally:
        text.close()
        page.close()


def _is_scan(pdf: Any, number: int) -> bool:
    import pypdfium2.raw as pdfium

    page = pdf[number]
    try:
        width, height = page.get_size()
        for picture in page.get_objects(filter=[pdfium.FPDF_PAGEOBJ_IMAGE], max_depth=3):
            left, bottom, right, top = picture.get_bounds()
            if (right - left) * (top - bottom) >= _MIN_SCAN_SHARE * width * height:
                return True
        return False
    finally:
        page.close()


def _with_scans(pdf: Any, pages: list[str], scanned: list[int]) -> list[str]:
    """The pages' texts, scanned pages by OCR. Raises `Refused` where all pages are scanned and there is no OCR."""
    tesseract = shutil.which("tesseract")
    if tesseract is None and len(scanned) == len(pages):
        raise Refused(
            "scanned: the PDF has no text, and OCR needs `tesseract`, which is not on PATH of the Spark workers. "
            "Install it (Debian: apt-get install tesseract-ocr), or save the PDF with its text."
        )
    if tesseract and len(scanned) > _MAX_OCR_PAGES:
        raise Refused(f"scanned: {len(scanned)} pages without text, at most {_MAX_OCR_PAGES} are read. Split the PDF.")
    texts = list(pages)
    for number in scanned:
        texts[number] = (
            _ocr(tesseract, pdf, number) if tesseract else f"[Page {number + 1} is scanned and was not read.]"
        )
    return texts


def _ocr(tesseract: str, pdf: Any, number: int) -> str:
    page = pdf[number]
    try:
        width, height = page.get_size()
        scale = min(_OCR_DPI / 72, (_MAX_PIXELS / max(1.0, width * height)) ** 0.5)
        picture = page.render(scale=scale, grayscale=True).to_pil()
    finally:
        page.close()
    png = io.BytesIO()
    picture.save(png, "PNG")
    command = [tesseract, "stdin", "stdout"]
    result = subprocess.run(command, input=png.getvalue(), capture_output=True, check=False)
    if result.returncode:
        message = " ".join(result.stderr.decode(errors="replace").split())[-200:]
        raise Refused(f"scanned: tesseract failed on page {number + 1} ({message}). Repair its installation.")
    return result.stdout.decode(errors="replace").strip()


def _useful_title(title: str) -> str:
    """The title; empty for a file name, a single word or a default of Office."""
    title = title.strip()
    is_junk = title.lower().startswith(_JUNK_TITLES) or "." in title[-6:] or " " not in title
    return "" if is_junk else title


FORMATS = (
    Format(
        "PDF",
        (".pdf",),
        read_pdf,
        parsers=("markitdown.converters", "pypdfium2"),
        media_types=("application/pdf",),
    ),
)
