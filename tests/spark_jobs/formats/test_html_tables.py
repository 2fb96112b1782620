"""HTML tables in Markdown: every row names its columns, and no word is lost."""

import re
import time

import pytest
from bs4 import BeautifulSoup
from hypothesis import given
from hypothesis import strategies as st

from spark_jobs.formats.html_tables import MAX_CHARACTERS, PageConverter, tables_as_lists, unwrap_layout_tables
from spark_jobs.formats.markdown import markdown_title, read_markdown

SETTING = """## `pump.maxStrokes`

<table id="pump.maxStrokes">
  <thead>
    <tr>
      <th class="width80">Description</th>
      <th class="width20">Default Value</th>
    </tr>
  </thead>
  <tbody>
    <tr>
      <td>
        <li>Strokes a minute.</li>
        <li>0 stops the pump</li>      </td>
      <td>40</td>
    </tr>
    <tr><td>Where it writes &lt;logs&gt;</td><td></td></tr>
  </tbody>
</table>

## Next
"""


def test_a_setting_and_its_default_are_one_line_under_their_heading() -> None:
    text = read_markdown(SETTING).text

    assert (markdown_title(text), text) == (
        "`pump.maxStrokes`",
        "## `pump.maxStrokes`\n\n"
        "- Description: Strokes a minute. 0 stops the pump; Default Value: 40\n"
        "- Description: Where it writes <logs>; Default Value:\n\n## Next\n",
    )


@pytest.mark.parametrize(
    ("rows", "lines"),
    [
        ("<tr><td><b>Place</b></td><td>Port Ellis</td></tr>", ["**Place**: Port Ellis"]),
        ("<tr><td>a<td>b<td>c<tr><td>d<td>e<td>f", ["a; b; c", "d; e; f"]),
        ("<caption>Sizes</caption><tr><th>Size</th></tr><tr><td>S</td></tr>", ["Sizes", "Size: S"]),
        ("<tr><th>only</th><th>heads</th></tr>", ["only; heads"]),
        (
            '<tr><th>Kind</th><th>Size</th></tr><tr><td rowspan="2">valve</td><td>S</td></tr><tr><td>M</td></tr>',
            ["Kind: valve; Size: S", "Kind: valve; Size: M"],
        ),
        (
            '<tr><th colspan="2">Time</th></tr><tr><th>from</th><th>to</th></tr><tr><td>8</td><td>9</td></tr>',
            ["Time from: 8; Time to: 9"],
        ),
        (
            '<tr><td>see <a href="{% page "/slack/" %}">chat</a></td><td><code>a_b</code> * {{ site.url }}</td></tr>',
            ['see [chat]({% page "/slack/" %}): `a_b` * {{ site.url }}'],
        ),
        ("<tr><td><table><tr><td>in</td><td>ner</td></tr></table></td><td>x</td><td>y</td></tr>", ["in; ner; x; y"]),
    ],
)
def test_rows_become_lines(rows: str, lines: list[str]) -> None:
    assert tables_as_lists(f"a\n\n<table>{rows}</table>") == "a\n\n" + "\n".join(f"- {line}" for line in lines) + "\n"


@pytest.mark.parametrize(
    "text",
    [
        "```html\n<table><tr><td>code</td></tr></table>\n```\n",
        "    <table><tr><td>code</td></tr></table>\n",
        "Write `<table>` first, then </table>.\n",
        "<table><tr><td>no end</td></tr>\n\nmore\n",
        "<table>outside<tr><td>cell</td></tr></table>\n",
        "<table><tr><td><pre>a\n  b</pre></td></tr></table>\n",
        f"<table><tr>{'<td>x</td>' * 101}</tr></table>\n",
        f"<table><tr><th>{'h' * 500}</th></tr>{'<tr><td>x</td></tr>' * 500}</table>\n",
        "<table><tr><td>" + "x" * MAX_CHARACTERS + "</td></tr></table>\n",
        "<table><tr><td>" + "<div>" * 5_000 + "deep</td></tr></table>\n",
    ],
    ids=("fenced", "indented", "quoted", "endless", "outside", "pre", "wide", "grows", "large", "deep"),
)
def test_a_table_whose_words_could_be_lost_stays_as_it_was_written(text: str) -> None:
    assert tables_as_lists(text) == text


def test_a_table_in_a_list_stays_in_its_item_and_text_around_tables_stays() -> None:
    text = "1. Do\n\n   <table>\n<tr><td>a</td><td>b</td></tr></table> then\n\n<TABLE><tr><td>c</td></tr></TABLE>\nend"

    assert tables_as_lists(text) == "1. Do\n\n   - a: b\n then\n\n- c\n\nend"


@given(
    st.lists(
        st.sampled_from(["<table>", "</table>", "<tr>", "<td>", "</td>", "<th colspan=2>", "\n", "word", "<", "&"])
    )
)
def test_any_markup_keeps_its_words_and_gives_the_same_twice(parts: list[str]) -> None:
    text = "\n<table>" + "".join(parts)

    lists = tables_as_lists(text)

    assert lists == tables_as_lists(text)
    assert lists.count("word") >= len(re.findall("word", text))


def test_comments_are_no_text() -> None:
    assert tables_as_lists("<table><!-- <td>x --><tr><td>a</td></tr></table>") == "\n- a\n"


@pytest.mark.parametrize("odd", ["<table><tr><td>unclosed ", "<!--", "{%", "{{", "<table", "<td", "-->"])
def test_time_grows_with_the_text(odd: str) -> None:
    def seconds(count: int) -> float:
        text = SETTING * count + "<table><tr><td>" + odd * 10 * count + "</td></tr></table>"
        started = time.process_time()
        tables_as_lists(text)
        return time.process_time() - started

    seconds(5)
    assert seconds(400) < 40 * max(seconds(40), 0.02)


def page(html: str) -> str:
    soup = BeautifulSoup(html, "html.parser")
    unwrap_layout_tables(soup)
    return PageConverter().convert_soup(soup).strip()


def row(*cells: str, tag: str = "td") -> str:
    return "<tr>" + "".join(cell if cell.startswith("<") else f"<{tag}>{cell}</{tag}>" for cell in cells) + "</tr>"


def test_a_merged_cell_of_a_page_stands_in_every_place_that_it_covers() -> None:
    html = row("Plant", '<th colspan="2">Pieces</th>', tag="th") + row('<td rowspan="2">Emden</td>', "7", "9")

    assert page(f"<table><thead>{html}</thead>{row('1', '2')}</table>") == (
        "| Plant | Pieces | Pieces |\n| --- | --- | --- |\n| Emden | 7 | 9 |\n| Emden | 1 | 2 |"
    )


def test_a_table_without_a_header_of_its_own_has_its_first_row_as_one() -> None:
    assert page(f"<table>{row('a', 'b')}{row('1', '<td><p>x</p><p>y|z</p></td>')}</table>") == (
        "| a | b |\n| --- | --- |\n| 1 | x y\\|z |"
    )


def test_a_table_in_a_cell_names_its_columns_there() -> None:
    inner = f"<table>{row('A', 'B')}{row('rule', 'gauge')}</table>"

    assert page(f"<table>{row('Tool', 'Kinds')}{row('Callipers of the hall', f'<td>{inner}</td>')}</table>").endswith(
        "| Callipers of the hall | A: rule; B: gauge |"
    )


def test_a_table_that_arranges_a_page_is_no_table() -> None:
    inner = f"<table>{row('A', 'B')}{row('rule', 'gauge')}</table>"
    html = f"<table>{row('<td><h2>Tools</h2><p>All of them.</p></td>')}{row(f'<td>{inner}</td>')}</table>"

    assert page(html) == "## Tools\n\nAll of them.\n\n| A | B |\n| --- | --- |\n| rule | gauge |"
