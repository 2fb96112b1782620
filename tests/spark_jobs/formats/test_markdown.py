"""Other kinds of files, as Markdown."""

import pytest

from spark_jobs.formats.markdown import fenced, file_to_markdown, rst_to_markdown


def test_a_markdown_file_is_titled_by_front_matter_then_heading_then_name() -> None:
    assert file_to_markdown("a.md", ".md", "---\ntitle: 'Given'\n---\n# First\n")[0] == "Given"
    assert file_to_markdown("a.md", ".md", "text\n\n# First\n")[0] == "First"
    assert file_to_markdown("a.md", ".md", "text")[0] == "a.md"


def test_html_keeps_structure_and_loses_scripts() -> None:
    html = (
        "<html><head><title>The  page</title></head><body><h2>Part</h2><script>steal()</script>"
        "<p>Some <b>bold</b> words.</p><ul><li>one</li><li>two</li></ul></body></html>"
    )

    assert file_to_markdown("a.html", ".html", html) == (
        "The page",
        "## Part\n\nSome **bold** words.\n\n- one\n- two",
    )


def test_underlines_of_restructured_text_become_headings_by_order_of_appearance() -> None:
    rst = "=====\nGuide\n=====\n\nIntro\n\nInstall\n-------\n\nRun it::\n\n    make\n\nLinux\n~~~~~\n\nUse\n---\n"

    assert rst_to_markdown(rst) == "# Guide\n\nIntro\n\n## Install\n\nRun it::\n\n    make\n\n### Linux\n\n## Use"


@pytest.mark.parametrize("code", ["x = 1", "s = '```'", "````\n`````"])
def test_code_is_fenced_by_more_backticks_than_it_holds(code: str) -> None:
    opening, *body, closing = fenced(code, "python").splitlines()

    assert "\n".join(body) == code
    assert opening == f"{closing}python"
    assert closing not in code


def test_source_code_is_titled_by_its_name_whatever_its_comments() -> None:
    assert file_to_markdown("job.py", ".py", "# not a heading\nx = 1\n") == (
        "job.py",
        "```python\n# not a heading\nx = 1\n```\n",
    )
