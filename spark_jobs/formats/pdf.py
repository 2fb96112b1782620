"""PDFs as Markdown: the text in the file, and for scanned pages the text that OCR recognises.

OCR needs the program Tesseract on the machine; nothing here downloads it. Without it a scanned PDF is refused with that
reason: an empty document would look like a successful ingest.
"""

import io
import re
import shutil
import subprocess
from collections import Counter
from typing import IO, Any

from spark_jobs.formats.document import ExtractedText, ParseLimits, Refused
from spark_jobs.formats.format import Format

_END_BYTES = 4096
_MAX_TABLE_PAGES = 40  # finding tables takes half a second a page; later pages are read as running text
_MAX_OCR_PAGES = 200
_OCR_DPI = 200  # a line of 10 points becomes 28 pixels high; more takes longer and recognises no more
_MIN_SCAN_SHARE = 0.5  # a picture over half of the page is a scan, a smaller picture a logo
_MAX_PIXELS = 40_000_000
_WORD = re.compile(r"[^\W_]+(?:-[^\W_]+)*")
# pdfium writes \x02 for a hyphen that ends a line, and joins the lines.
_LINE_END_HYPHEN = re.compile(r"([^\W\d_]{2,})(?:\x02\n?|[-\u00ad\u2010]\n|\u00ad)([^\W\d_]{2,})")
_RIGHT_TO_LEFT = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]")
_TABLE_ROW = re.compile(r"^\|.*\|[ \t]*$", re.MULTILINE)
_KEPT_WORDS_SHARE = 0.95
_MORE_WORDS = 1.25  # a page set letter by letter, whose spaces pdfium does not see
_MIN_RUNNING, _RUNNING_SHARE = 3, 0.6  # pages that bear a line at their edge, which is then a header or footer
_PASSWORD_FIELD = 1 << 13
_JUNK_AUTHORS = ("", "anonymous", "unknown", "user", "admin", "administrator")
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
        pdf.init_forms()
        texts = [_page_text(pdf, number) for number in range(len(pdf))]
        properties = pdf.get_metadata_dict()
        scanned = [number for number, text in enumerate(texts) if not text.strip() and _is_scan(pdf, number)]
        if scanned:
            texts = _with_scans(pdf, texts, scanned)
        for number in range(min(len(texts), _MAX_TABLE_PAGES)):
            if number not in scanned and texts[number].strip():
                texts[number] = _with_tables(pdf, number, texts[number])
        pages = without_furniture(joined_words(texts))
        written = (_written(pdf, number) for number in range(len(pdf)))
        text = "\n\n".join(filter(None, (part for page in zip(pages, written, strict=True) for part in page)))
        title = _useful_title(str(properties.get("Title", "")))
        author = " ".join(str(properties.get("Author", "")).split())
        return ExtractedText(text, title, author=None if author.lower() in _JUNK_AUTHORS else author)
    finally:
        pdf.close()


def _page_text(pdf: Any, number: int) -> str:
    """The page's text in the order of reading, without ligatures; `\\x02` stands for a hyphen at a line's end."""
    page = pdf[number]
    text = page.get_textpage()
    try:
        return str(text.get_text_bounded()).replace("\r\n", "\n").strip("\n ")
    finally:
        text.close()
        page.close()


def joined_words(pages: list[str]) -> list[str]:
    """Pages without hyphens at the ends of lines. Where the document writes the word with one, it stays: `two-step`."""
    known = {word.lower() for page in pages for word in _WORD.findall(page)}

    def join(match: re.Match[str]) -> str:
        left, right = match[1], match[2]
        is_split = left[-1].islower() and right[0].islower()
        has_hyphen = f"{left}-{right}".lower() in known and f"{left}{right}".lower() not in known
        return f"{left}{'-' if has_hyphen or not is_split else ''}{right}"

    return [_LINE_END_HYPHEN.sub(join, page).replace("\x02", "-") for page in pages]


def without_furniture(pages: list[str]) -> list[str]:
    """Pages whose running headers and footers stand on the first of them only; the page's own number does not count."""
    lines = [page.split("\n") for page in pages]
    edges = [_edges(number, page, len(pages)) for number, page in enumerate(lines)]
    uses = Counter(line for page in edges for line in set(page.values()))
    running = {line for line, count in uses.items() if count >= max(_MIN_RUNNING, _RUNNING_SHARE * len(pages))}
    seen: set[str] = set()
    for page, edge in zip(lines, edges, strict=True):
        for place in sorted(edge, reverse=True):
            if edge[place] in running and edge[place] in seen:
                del page[place]
        seen.update(edge.values())
    return ["\n".join(page).strip("\n") for page in lines]


def _edges(number: int, page: list[str], pages: int) -> dict[int, str]:
    """The first and last lines of a page by their place, with `#` for the number of the page and of all pages."""
    own_numbers = re.compile(rf"\b(?:{number + 1}|{pages})\b")
    places = {place for place in (0, 1, len(page) - 2, len(page) - 1) if 0 <= place < len(page)}
    return {place: own_numbers.sub("#", " ".join(page[place].split())) for place in places if page[place].strip()}


def _with_tables(pdf: Any, number: int, text: str) -> str:
    """The page as markitdown reads it, where it finds tables and keeps the words, or sees spaces that pdfium misses."""
    import pypdfium2
    from markitdown import StreamInfo
    from markitdown.converters import PdfConverter

    if _RIGHT_TO_LEFT.search(text):  # read backwards by markitdown
        return text
    alone, content = pypdfium2.PdfDocument.new(), io.BytesIO()
    try:
        alone.import_pages(pdf, [number])
        alone.save(content)
    finally:
        alone.close()
    content.seek(0)
    markdown = str(PdfConverter().convert(content, StreamInfo(extension=".pdf")).markdown).replace("\f", "\n").strip()
    words, others = (Counter(_WORD.findall(form)) for form in (text, markdown))
    keeps_words = (words & others).total() >= _KEPT_WORDS_SHARE * words.total()
    lacks_spaces = others.total() > _MORE_WORDS * words.total()
    return markdown if lacks_spaces or (keeps_words and _TABLE_ROW.search(markdown)) else text


def _written(pdf: Any, number: int) -> str:
    """What people filled into the page's form, `- name: value`, and wrote on it as notes."""
    import pypdfium2.raw as pdfium

    page = pdf[number]
    lines: list[str] = []
    try:
        for position in range(pdfium.FPDFPage_GetAnnotCount(page)):
            annotation = pdfium.FPDFPage_GetAnnot(page, position)
            try:
                lines.append(_annotation(pdf, annotation))
            finally:
                pdfium.FPDFPage_CloseAnnot(annotation)
    finally:
        page.close()
    return "\n".join(dict.fromkeys(filter(None, lines)))


def _annotation(pdf: Any, annotation: Any) -> str:
    import pypdfium2.raw as pdfium

    kind = pdfium.FPDFAnnot_GetSubtype(annotation)
    if kind in (pdfium.FPDF_ANNOT_FREETEXT, pdfium.FPDF_ANNOT_TEXT, pdfium.FPDF_ANNOT_HIGHLIGHT):
        note = _wide(pdfium.FPDFAnnot_GetStringValue, annotation, b"Contents")
        return f"- {note}" if note else ""
    if kind != pdfium.FPDF_ANNOT_WIDGET or pdf.formenv is None:
        return ""
    form = pdf.formenv.raw
    if pdfium.FPDFAnnot_GetFormFieldFlags(form, annotation) & _PASSWORD_FIELD:
        return ""
    name = _wide(pdfium.FPDFAnnot_GetFormFieldAlternateName, form, annotation)
    name = name or _wide(pdfium.FPDFAnnot_GetFormFieldName, form, annotation)
    field = pdfium.FPDFAnnot_GetFormFieldType(form, annotation)
    if field in (pdfium.FPDF_FORMFIELD_CHECKBOX, pdfium.FPDF_FORMFIELD_RADIOBUTTON):
        if not pdfium.FPDFAnnot_IsChecked(form, annotation):
            return ""
        value = _wide(pdfium.FPDFAnnot_GetFormFieldExportValue, form, annotation) or "x"
    elif field in (pdfium.FPDF_FORMFIELD_PUSHBUTTON, pdfium.FPDF_FORMFIELD_SIGNATURE):
        return ""
    else:
        value = _wide(pdfium.FPDFAnnot_GetFormFieldValue, form, annotation)
    return f"- {name}: {value}" if value else ""


def _wide(function: Any, *arguments: Any) -> str:
    """A string of pdfium's, which writes UTF-16 into a buffer of a size that it tells first; on one line."""
    import ctypes

    import pypdfium2.raw as pdfium

    size = function(*arguments, None, 0)
    buffer = ctypes.create_string_buffer(size)
    function(*arguments, ctypes.cast(buffer, ctypes.POINTER(pdfium.FPDF_WCHAR)), size)
    return " ".join(buffer.raw.decode("utf-16-le", errors="ignore").replace("\0", "").split())


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
