"""reStructuredText, AsciiDoc, notebooks, transcripts, JSON, XML and source code as Markdown."""

import json

import pytest

from spark_jobs.formats.asciidoc import read_asciidoc
from spark_jobs.formats.data_documents import read_json, read_xml
from spark_jobs.formats.notebooks import read_notebook
from spark_jobs.formats.restructured_text import rst_to_markdown
from spark_jobs.formats.source_code import fenced
from spark_jobs.formats.transcripts import read_transcript


def test_underlines_of_restructured_text_become_headings_by_order_of_appearance() -> None:
    rst = "=====\nGuide\n=====\n\nIntro\n\nInstall\n-------\n\nRun it::\n\n    make\n\nLinux\n~~~~~\n\nUse\n---\n"

    assert rst_to_markdown(rst) == (
        "# Guide\n\nIntro\n\n## Install\n\nRun it:\n\n```\nmake\n```\n\n### Linux\n\n## Use"
    )


@pytest.mark.parametrize("code", ["x = 1", "s = '```'", "````\n`````"])
def test_code_is_fenced_by_more_backticks_than_it_holds(code: str) -> None:
    opening, *body, closing = fenced(code, "python").splitlines()

    assert "\n".join(body) == code
    assert opening == f"{closing}python"
    assert closing not in code


def test_code_of_restructured_text_is_fenced_and_notes_stay_text() -> None:
    rst = ".. code-block:: bash\n   :linenos:\n\n   # no heading\n   make\n\n.. note::\n\n   Careful.\n"

    assert rst_to_markdown(rst) == "\n```bash\n# no heading\nmake\n```\n\n.. note::\n\n   Careful."


def test_titles_code_lists_and_tables_of_asciidoc_become_markdown() -> None:
    text = (
        "= Guide\n:author: Mia\n:product: Kestrel\n\n== Install {product}\n\n[source,bash]\n----\n# no heading\n----\n"
        "\n* one\n** two\n\n|===\n|Key |Value\n\n|a |1\n|b\n|2\n|===\n// comment\nEnd {unknown}\n"
    )
    title, author = "Guide", "Mia"

    assert read_asciidoc(text)[1::2] == (title, author)
    assert [line for line in read_asciidoc(text).text.splitlines() if line] == [
        "# Guide", "## Install Kestrel", "```bash", "# no heading", "```", "- one", "   - two",
        "| Key | Value |", "| --- | --- |", "| a | 1 |", "| b | 2 |", "End {unknown}",
    ]  # fmt: skip


def test_a_notebook_is_its_cells_and_what_they_printed() -> None:
    cells = [
        {"cell_type": "markdown", "source": ["# Sales\n", "By region."]},
        {
            "cell_type": "code",
            "source": "plot(1)",
            "outputs": [
                {"output_type": "stream", "text": ["north 7\n"]},
                {"output_type": "display_data", "data": {"image/png": "iVBO" * 100, "text/plain": "<Figure>"}},
                {"output_type": "error", "ename": "KeyError", "evalue": "'x'", "traceback": ["\x1b[31mlong"]},
            ],
        },
    ]
    notebook = json.dumps({"cells": cells, "metadata": {"language_info": {"name": "python"}}})

    assert read_notebook(notebook).text == (
        "# Sales\nBy region.\n\n```python\nplot(1)\n```\n\n```text\nnorth 7\n```\n\n```text\n<Figure>\n```\n\n"
        "```text\nKeyError: 'x'\n```"
    )


def test_a_transcript_is_what_was_said_by_whom() -> None:
    vtt = (
        "WEBVTT\n\nNOTE by a machine\n\n1\n00:00:01.000 --> 00:00:03.000\n<v Mia Lang>Hello &amp; <i>welcome</i>.\n"
        "\n00:00:03.500 --> 00:00:05.000\n<v Mia Lang>We start.\n\n01:00:06.000 --> 01:00:09.000\n<v Tom>Fine.\n"
    )
    srt = "1\r\n00:00:01,000 --> 00:00:03,000\r\nHello\r\nall.\r\n\r\n2\r\n00:00:04,000 --> 00:00:05,000\r\nBye 42.\r\n"

    assert read_transcript(vtt).text == "[0:00:01] Mia Lang: Hello & welcome. We start.\n\n[1:00:06] Tom: Fine."
    assert read_transcript(srt).text == "[0:00:01] Hello all. Bye 42."


def test_json_is_a_document_where_it_holds_prose_and_code_where_not() -> None:
    page = {"title": "Leave", "pages": [{"text": "Every employee has thirty days of leave in a year."}], "n": 3}

    assert read_json(json.dumps(page))[:2] == (
        "- title: Leave\n\n**pages**\n\n- text: Every employee has thirty days of leave in a year.\n\n\n- n: 3",
        "Leave",
    )
    assert read_json('{"timeout_ms": 3}').text == '```json\n{"timeout_ms": 3}\n```\n'
    assert read_json("{broken").text == "```json\n{broken\n```\n"


def test_xml_is_a_document_where_it_holds_prose_and_code_where_not() -> None:
    page = "<d><title>Guide</title><s><title>One</title><p>You have <b>thirty</b> days of leave in a year.</p></s></d>"
    bomb = '<!DOCTYPE d [<!ENTITY x "y">]><d>&x;</d>'

    assert read_xml(page)[:2] == ("# Guide\n\n## One\n\nYou have thirty days of leave in a year.", "Guide")
    assert read_xml('<c><a name="x">1</a></c>').text == '```xml\n<c><a name="x">1</a></c>\n```\n'
    assert read_xml(bomb).text == f"```xml\n{bomb}\n```\n"
