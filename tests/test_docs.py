"""Docs that show commands, settings, files or tables say what is true, and user pages stay short."""

import ast
import importlib.util
import re
import shlex
import tomllib
from pathlib import Path

import click
import pytest

from infra.cli.main import main as cli
from infra.reference import pages
from lakehouse.settings import PREFIX, PROJECT_ROOT, Settings

DOCS = PROJECT_ROOT / "docs"
EVIDENCE = sorted((DOCS / "evidence").glob("*.md"))
USER_PAGES = [PROJECT_ROOT / "README.md", *sorted(page for page in DOCS.glob("*.md") if page not in pages())]
WRITTEN = [*USER_PAGES, *sorted(pages()), *EVIDENCE]
MAX_WORDS = 900  # two screens
FAULT_PAGES = {"faults.md": 26, "faults-machines.md": 14, "faults-tasks.md": 20, "faults-answers.md": 20}
FOLDERS = ("dags", "spark_jobs", "lakehouse", "agents", "serving", "infra")


def name_of(page: Path) -> str:
    return str(page.relative_to(PROJECT_ROOT))


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def shell_lines(page: Path) -> list[str]:
    """Lines of the page's shell fences, continued lines joined."""
    fences = re.findall(r"```sh\n(.*?)```", text_of(page), re.DOTALL)
    return [line for fence in fences for line in fence.replace("\\\n", " ").splitlines()]


# --- what a page says is true


@pytest.mark.parametrize("page", pages(), ids=name_of)
def test_a_generated_page_is_what_its_source_renders(page: Path) -> None:
    assert text_of(page) == pages()[page], "run `make docs` and commit the result"


def lakehop_commands() -> list[tuple[str, str]]:
    """Each `lakehop …` line of each shell fence, with its page; settings before the command are left out."""
    command = re.compile(rf"(?:{PREFIX}\w+=\S+ )*(lakehop .*)")
    return [
        (name_of(page), match[1]) for page in WRITTEN for line in shell_lines(page) if (match := command.match(line))
    ]


@pytest.mark.parametrize(("page", "line"), lakehop_commands())
def test_a_shown_command_parses(page: str, line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(click.Path, "convert", lambda self, value, *_: value)  # files that a reader has, we need not
    words = shlex.split(line, comments=True)[1:]
    command: click.Command = cli
    context = click.Context(cli)
    while isinstance(command, click.Group) and words != ["--help"]:
        name = words.pop(0)
        assert name in command.commands, f"{page} shows an unknown command: {line}"
        command = command.commands[name]
        context = click.Context(command, parent=context, info_name=name)
    if words != ["--help"]:
        command.parse_args(context, words)


def test_every_shown_module_make_target_and_test_file_exists() -> None:
    makefile = text_of(PROJECT_ROOT / "Makefile")
    for page in WRITTEN:
        for line in shell_lines(page):
            for module in re.findall(r"python -m ([\w.]+)", line):
                assert importlib.util.find_spec(module), f"{name_of(page)} runs the unknown module {module}"
            for target in re.findall(r"^make ([\w-]+)", line):
                assert re.search(rf"^{target}:", makefile, re.MULTILINE), f"{name_of(page)} makes {target}"
            for path in re.findall(r"^pytest (\S+)", line):
                assert (PROJECT_ROOT / path).exists(), f"{name_of(page)} tests {path}"


def test_every_setting_named_in_the_docs_exists() -> None:
    known = {PREFIX + name.upper() for name in Settings.model_fields} | {PREFIX + "CONFIG"}
    for page in WRITTEN:
        named = set(re.findall(PREFIX + r"[A-Z0-9_]+[A-Z0-9]", text_of(page)))
        assert named <= known, f"{name_of(page)} names {named - known}"


def anchors(page: Path) -> set[str]:
    """The page's headings as GitHub spells them in addresses."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", text_of(page), flags=re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_links_between_pages_lead_to_a_file_and_a_heading() -> None:
    for page in WRITTEN:
        for target in re.findall(r"\]\(([^)\s]+)", text_of(page)):
            path, _, anchor = target.partition("#")
            if "://" in target:
                continue
            linked = page.parent / path if path else page
            assert linked.exists(), f"{name_of(page)} links to {target}"
            assert not anchor or anchor in anchors(linked), f"{name_of(page)} links to {target}: no such heading"


@pytest.mark.parametrize("name", FAULT_PAGES)
def test_every_test_that_a_table_of_faults_names_exists(name: str) -> None:
    rows = [line for line in text_of(DOCS / name).splitlines() if line.startswith("| ")]
    faults = [row for row in rows if not row.startswith("| fault |")]

    assert len(faults) >= FAULT_PAGES[name]
    for fault in faults:
        named = re.findall(r"`([\w/]+/test_\w+\.py)::(test_\w+)`", fault)
        assert named, f"no test shows this: {fault}"
        for file, test in named:
            assert f"def {test}(" in text_of(PROJECT_ROOT / "tests" / file), f"{file} has no {test}"


# --- what kind of page it is


def words(text: str) -> int:
    return sum(any(character.isalnum() for character in word) for word in text.split())


@pytest.mark.parametrize("page", USER_PAGES, ids=name_of)
def test_a_user_page_is_short_and_begins_with_what_to_type(page: Path) -> None:
    text = text_of(page)

    assert text.startswith("# ")
    assert words(text) <= MAX_WORDS, f"{words(text)} words: split the page, or move measurements to docs/evidence/"
    assert "```" in text.partition("\n## ")[0] or page.name == "README.md", "show the command before the first section"


@pytest.mark.parametrize("page", [page for page in EVIDENCE if page.name != "index.md"], ids=name_of)
def test_a_page_of_evidence_has_a_date_a_command_and_a_line_in_the_list(page: Path) -> None:
    assert re.search(r"20\d\d-\d\d-\d\d", text_of(page)), "say when this was measured"
    assert shell_lines(page), "show the command that measures it"
    assert f"]({page.name})" in text_of(DOCS / "evidence" / "index.md"), "add it to docs/evidence/index.md"


def test_every_user_page_is_reached_from_the_index() -> None:
    index = text_of(DOCS / "index.md")

    assert {page.name for page in USER_PAGES[1:] if f"]({page.name}" not in index} == {"index.md"}


# --- the tree


def rooms() -> dict[str, Path]:
    """Every room that `pyproject.toml` puts into a layer, as `folder/room`, with the file that describes it."""
    contracts = tomllib.loads(text_of(PROJECT_ROOT / "pyproject.toml"))["tool"]["importlinter"]["contracts"]
    found = {}
    for contract in contracts:
        for folder in contract.get("containers", ()):
            names = [name.strip() for layer in contract["layers"] for name in layer.split("|")]
            for name in names if folder != "dags" else ["shared"]:
                package, module = PROJECT_ROOT / folder / name / "__init__.py", PROJECT_ROOT / folder / f"{name}.py"
                found[f"{folder}/{name}"] = package if package.exists() else module
    return found


def purpose(file: Path) -> str:
    """The first sentence of a module's docstring."""
    paragraph = (ast.get_docstring(ast.parse(text_of(file))) or "").partition("\n\n")[0]
    return re.split(r"(?<=\.)\s", " ".join(paragraph.split()))[0]


def test_architecture_names_every_room_with_its_purpose() -> None:
    page, picture = text_of(DOCS / "architecture.md"), text_of(DOCS / "architecture.svg")
    rows = {room: f"| `{room}` | {purpose(file)} |" for room, file in rooms().items()}

    assert not [row for row in rows.values() if row not in page], "docs/architecture.md lacks these rows"
    assert not [room for room in rows if f">{room.partition('/')[2]}<" not in picture], "architecture.svg lacks these"


def test_every_folder_that_lies_in_a_top_folder_is_a_room() -> None:
    known = set(rooms())
    for folder in FOLDERS:
        packages = {f"{folder}/{file.parent.name}" for file in (PROJECT_ROOT / folder).glob("*/__init__.py")}
        assert packages <= known, f"no layer of pyproject.toml holds {packages - known}"


def test_where_to_change_names_files_and_symbols_that_exist() -> None:
    page = text_of(DOCS / "where-to-change.md")
    named = re.findall(rf"`((?:{'|'.join(FOLDERS)}|tests|docs)/[\w./-]*)(?:::(\w+))?`", page)

    answers = [line for line in page.splitlines() if line.startswith("| ") and "where do I change" not in line]
    assert len(answers) >= 14
    assert len(named) >= len(answers)
    for path, symbol in named:
        assert (PROJECT_ROOT / path).exists(), f"docs/where-to-change.md names {path}"
        if symbol:
            text = text_of(PROJECT_ROOT / path)
            assert re.search(rf"\b{symbol}\b", text), f"docs/where-to-change.md: {path} has no {symbol}"
