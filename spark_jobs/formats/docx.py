"""Word files (.docx, .docm) as Markdown: mammoth makes HTML of the body, which becomes Markdown as other pages do.

`spark_jobs.formats.word_parts` first writes into the body what Word shows and does not store there.
"""

import re
from typing import IO

from spark_jobs.formats.document import ExtractedText, ParseLimits
from spark_jobs.formats.format import Format
from spark_jobs.formats.html import PARSERS, html_to_markdown
from spark_jobs.formats.office_package import open_office_package, person

_STYLES = "comment-reference => sup\nhighlight => \nu => "
_NOTE_MARK = re.compile(r"\[\[(\d+)\]\]\(#(?:foot|end)note-\d+\)")
_COMMENT_MARK = re.compile(r"\[\[([^\[\]]+)\]\]\(#comment-\d+\)")
_NOTE_BACK = re.compile(r"[ \n]*\[↑\]\(#(?:footnote|endnote|comment)-ref-\d+\)")
_COMMENT = re.compile(r"^Comment \[([^\[\]]+)\]\n+: *", re.MULTILINE)
_CHECKBOX = re.compile(r'<input\b[^<>]*\btype="checkbox"[^<>]*>')


def read_docx(file: IO[bytes], limits: ParseLimits) -> ExtractedText:
    import mammoth

    from spark_jobs.formats.word_parts import written_out

    package, properties = written_out(open_office_package(file, limits))
    html = mammoth.convert_to_html(package, style_map=_STYLES, convert_image=mammoth.images.img_element(_no_picture))
    _, text = html_to_markdown(_CHECKBOX.sub(lambda box: "[x] " if "checked" in box[0] else "[ ] ", html.value))
    text = _COMMENT.sub(r"Comment \1: ", _COMMENT_MARK.sub(r" (\1)", _NOTE_BACK.sub("", _NOTE_MARK.sub(r"[\1]", text))))
    return ExtractedText(text, author=person(properties.get("creator")))


def _no_picture(image: object) -> dict[str, str]:
    """Of a picture only its description is text, which mammoth adds."""
    return {}


FORMATS = (
    Format(
        "Word",
        (".docx", ".docm", ".dotx", ".dotm"),
        read_docx,
        parsers=("mammoth", "spark_jobs.formats.word_parts", *PARSERS),
        media_types=("application/vnd.openxmlformats-officedocument.wordprocessingml.document",),
    ),
)
