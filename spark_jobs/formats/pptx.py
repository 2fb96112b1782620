"""PowerPoint files (.pptx, .pptm) as Markdown, by markitdown."""

from spark_jobs.formats.format import Format
from spark_jobs.formats.office_package import markitdown_reader

FORMATS = (
    Format(
        "PowerPoint",
        (".pptx", ".pptm"),
        markitdown_reader("PptxConverter", ".pptx"),
        parsers=("markitdown.converters",),
        media_types=("application/vnd.openxmlformats-officedocument.presentationml.presentation",),
    ),
)
