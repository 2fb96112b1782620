"""Source code and configuration as one fenced block of Markdown."""

import re

from spark_jobs.formats.document import ExtractedText
from spark_jobs.formats.format import Format
from spark_jobs.formats.text import text_format, without_data

_SUFFIXES = {
    "python": "py pyi", "javascript": "js mjs cjs jsx", "typescript": "ts tsx", "java": "java", "scala": "scala sc",
    "kotlin": "kt kts", "go": "go", "rust": "rs", "c": "c h", "cpp": "cc cpp cxx hh hpp hxx", "csharp": "cs",
    "ruby": "rb", "php": "php", "swift": "swift", "objectivec": "m mm", "bash": "sh bash zsh", "powershell": "ps1",
    "sql": "sql", "r": "r", "julia": "jl", "lua": "lua", "perl": "pl pm", "haskell": "hs", "clojure": "clj",
    "elixir": "ex exs", "erlang": "erl", "dart": "dart", "groovy": "groovy gradle", "proto": "proto",
    "graphql": "graphql", "css": "css scss less", "yaml": "yaml yml", "toml": "toml", "ini": "ini cfg conf",
    "json": "jsonc json5", "properties": "properties", "diff": "diff patch", "bat": "bat cmd", "hcl": "tf hcl",
    "latex": "tex", "vue": "vue", "svelte": "svelte", "makefile": "mk", "dockerfile": "dockerfile",
}  # fmt: skip
"""Suffixes of files, by the name of their language in a Markdown fence."""


def fenced(code: str, language: str) -> str:
    """One fenced block, its fence longer than any run of backticks in the code."""
    longest_run = max((len(run) for run in re.findall(r"`{3,}", code)), default=2)
    fence = "`" * (longest_run + 1)
    return f"{fence}{language}\n{code.rstrip()}\n{fence}\n" if code.strip() else ""


def _format_of_language(language: str, suffixes: str) -> Format:
    """The title is the name of the file: a comment that begins with `#` is no heading."""
    return text_format(
        "source code",
        tuple(f".{suffix}" for suffix in suffixes.split()),
        lambda code: ExtractedText(without_data(fenced(code, language)), ""),
    )


FORMATS = tuple(_format_of_language(language, suffixes) for language, suffixes in _SUFFIXES.items())
