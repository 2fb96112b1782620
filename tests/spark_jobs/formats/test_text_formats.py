"""reStructuredText and source code as Markdown."""

import pytest

from spark_jobs.formats.restructured_text import rst_to_markdown
from spark_jobs.formats.source_code import fenced


def test_underlines_of_restructured_text_become_headings_by_order_of_appearance() -> None:
    rst = "=====\nGuide\n=====\n\nIntro\n\nInstall\n-------\n\nRun it::\n\n    make\n\nLinux\n~~~~~\n\nUse\n---\n"

    assert rst_to_markdown(rst) == "# Guide\n\nIntro\n\n## Install\n\nRun it::\n\n    make\n\n### Linux\n\n## Use"


@pytest.mark.parametrize("code", ["x = 1", "s = '```'", "````\n`````"])
def test_code_is_fenced_by_more_backticks_than_it_holds(code: str) -> None:
    opening, *body, closing = fenced(code, "python").splitlines()

    assert "\n".join(body) == code
    assert opening == f"{closing}python"
    assert closing not in code
