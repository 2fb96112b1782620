"""Docs that show commands, settings or tables say what is true."""

import re
import shlex
from pathlib import Path

import click
import pytest

from infra.cli.main import main as cli
from infra.reference import pages
from lakehouse.settings import PREFIX, PROJECT_ROOT, Settings

WRITTEN = [PROJECT_ROOT / "README.md", *sorted((PROJECT_ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_a_generated_page_is_what_its_source_renders(page: Path) -> None:
    assert page.read_text(encoding="utf-8") == pages()[page], "run `make docs` and commit the result"


def commands_shown() -> list[tuple[str, str]]:
    """Each `lakehop …` line of each shell fence, with its page."""
    shown = []
    for page in WRITTEN:
        for fence in re.findall(r"```sh\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
            joined = fence.replace("\\\n", " ")
            shown += [(page.name, line) for line in joined.splitlines() if line.startswith("lakehop ")]
    return shown


@pytest.mark.parametrize(("page", "line"), commands_shown())
def test_a_shown_command_parses(page: str, line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(click.Path, "convert", lambda self, value, *_: value)  # files that a reader has, we need not
    words = shlex.split(line, comments=True)[1:]
    command: click.Command = cli
    context = click.Context(cli)
    while isinstance(command, click.Group):
        name = words.pop(0)
        assert name in command.commands, f"{page} shows an unknown command: {line}"
        command = command.commands[name]
        context = click.Context(command, parent=context, info_name=name)
    command.parse_args(context, words)


def test_every_setting_named_in_the_docs_exists() -> None:
    known = {PREFIX + name.upper() for name in Settings.model_fields} | {PREFIX + "CONFIG"}
    for page in WRITTEN:
        named = set(re.findall(PREFIX + r"[A-Z_]+[A-Z]", page.read_text(encoding="utf-8")))
        assert named <= known, f"{page.name} names {named - known}"


def test_links_between_pages_lead_somewhere() -> None:
    for page in WRITTEN:
        for target in re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8")):
            assert "://" in target or (page.parent / target).exists(), f"{page.name} links to {target}"


@pytest.mark.parametrize(("name", "at_least"), [("faults.md", 30), ("agents.md", 20)])
def test_every_test_that_a_table_of_faults_names_exists(name: str, at_least: int) -> None:
    page = (PROJECT_ROOT / "docs" / name).read_text(encoding="utf-8").partition("\n| fault |")[2]
    rows = [line for line in page.splitlines() if line.startswith("| ") and not line.startswith("| fault |")]

    assert len(rows) >= at_least
    for row in rows:
        named = re.findall(r"`([\w/]+/test_\w+\.py)::(test_\w+)`", row)
        assert named, f"no test shows this: {row}"
        for file, test in named:
            assert f"def {test}(" in (PROJECT_ROOT / "tests" / file).read_text(encoding="utf-8"), (
                f"{file} has no {test}"
            )
