"""Word files (.docx, .docm) as Markdown, by markitdown."""

from spark_jobs.formats.format import Format
from spark_jobs.formats.office_package import markitdown_reader

FORMATS = (
    Format(
        "Word",
        (".docx", ".docm"),
        markitdown_reader("DocxConverter", ".docx"),
        parsers=("markitdown.converters", "lxml.etree", "bs4"),
        media_types=("application/vnd.openxmlformats-officedocument.wordprocessingml.document",),
    ),
)
