"""Files of the kinds that we read, as Markdown: one form for the chunker, whatever a document was written in."""

import re

from spark_jobs.formats.markdown_blocks import first_heading, front_matter

_LANGUAGES = {
    "python": "py pyi", "javascript": "js mjs cjs jsx", "typescript": "ts tsx", "java": "java", "scala": "scala sc",
    "kotlin": "kt kts", "go": "go", "rust": "rs", "c": "c h", "cpp": "cc cpp cxx hh hpp hxx", "csharp": "cs",
    "ruby": "rb", "php": "php", "swift": "swift", "objectivec": "m mm", "bash": "sh bash zsh", "powershell": "ps1",
    "sql": "sql", "r": "r", "julia": "jl", "lua": "lua", "perl": "pl pm", "haskell": "hs", "clojure": "clj",
    "elixir": "ex exs", "erlang": "erl", "dart": "dart", "groovy": "groovy gradle", "proto": "proto",
    "graphql": "graphql", "css": "css scss less", "yaml": "yaml yml", "toml": "toml", "ini": "ini cfg conf",
    "json": "json", "xml": "xml xsd", "hcl": "tf hcl", "makefile": "mk", "dockerfile": "dockerfile",
}  # fmt: skip
_LANGUAGE_OF = {f".{suffix}": language for language, suffixes in _LANGUAGES.items() for suffix in suffixes.split()}
_RST_RULE = re.compile(r"""([!-/:-@[-`{-~])\1*\s*""")
_FRONT_TITLE = re.compile(r"^title[ \t]*:[ \t]*(.+?)[ \t]*$", re.MULTILINE)

TEXT_SUFFIXES = (".md", ".markdown", ".txt", ".rst", ".html", ".htm", *sorted(_LANGUAGE_OF))
CONVERTED_SUFFIXES = (
    ".pdf", ".docx", ".docm", ".pptx", ".pptm", ".xlsx", ".xlsm", ".xls", ".csv", ".tsv", ".eml", ".msg", ".zip",
)  # fmt: skip


def file_to_markdown(name: str, suffix: str, content: str) -> tuple[str, str]:
    """Title and text of a file. The title is the file's own, else its first heading, else `name`.

    `suffix` is in lower case, one of `TEXT_SUFFIXES` or empty, which is read as plain text.
    Raises RecursionError for HTML that is nested some hundred deep, ValueError for HTML that cannot be parsed.
    """
    if suffix in _LANGUAGE_OF:
        return name, fenced(content, _LANGUAGE_OF[suffix])
    if suffix in (".txt", ""):
        return name, content
    if suffix in (".html", ".htm"):
        title, text = html_to_markdown(content)
        return title or first_heading(text) or name, text
    text = rst_to_markdown(content) if suffix == ".rst" else _without_html_tables(content)
    return markdown_title(text) or name, text


def markdown_title(text: str) -> str | None:
    """The title in the front matter, else the first heading; None when there is neither."""
    given = _FRONT_TITLE.search(front_matter(text))
    return (given and given[1].strip("\"'").strip()) or first_heading(text)


def fenced(code: str, language: str) -> str:
    """Source code as one fenced block, under a fence that the code does not hold itself."""
    longest = max((len(run) for run in re.findall(r"`{3,}", code)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}{language}\n{code.rstrip()}\n{fence}\n" if code.strip() else ""


def html_to_markdown(html: str) -> tuple[str, str]:
    """Title and text of an HTML page, without scripts and styles."""
    from bs4 import BeautifulSoup, ParserRejectedMarkup
    from markdownify import ATX, MarkdownConverter

    try:
        page = BeautifulSoup(html, "html.parser")
    except ParserRejectedMarkup as error:
        raise ValueError(str(error)) from None
    title = " ".join(page.title.get_text().split()) if page.title else ""
    for tag in page(["script", "style", "noscript", "template", "head"]):
        tag.decompose()
    return title, str(MarkdownConverter(heading_style=ATX, bullets="-").convert_soup(page)).strip()


def _without_html_tables(markdown: str) -> str:
    if "<table" not in markdown.lower():
        return markdown
    from spark_jobs.formats.html_tables import tables_as_lists

    return tables_as_lists(markdown)


def rst_to_markdown(rst: str) -> str:
    """reStructuredText with its section titles as Markdown headings; the rest reads well enough as it is.

    Left alone, an underline of `~` would open a code block to the end of the file.
    """
    lines = rst.splitlines()
    out: list[str] = []
    levels: dict[tuple[str, bool], int] = {}
    number = 0
    while number < len(lines):
        over, title, under = (
            lines[number + ahead].rstrip() if number + ahead < len(lines) else "" for ahead in (0, 1, 2)
        )
        if _is_rule(over) and over == under and title.strip() and len(title) <= len(over):
            style, used = (over[0], True), 3
        elif _is_rule(title) and over.strip() and not over[0].isspace() and len(over) <= len(title):
            style, title, used = (title[0], False), over, 2
        else:
            out.append(lines[number])
            number += 1
            continue
        level = levels.setdefault(style, min(len(levels) + 1, 6))
        out.append(f"{'#' * level} {title.strip()}")
        number += used
    return "\n".join(out)


def _is_rule(line: str) -> bool:
    return len(line) >= 2 and _RST_RULE.fullmatch(line) is not None
