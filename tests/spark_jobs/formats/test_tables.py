"""Tables of text: their dialect, their header, and what a table becomes."""

import io
import time

import pytest

from spark_jobs.formats.document import ParseLimits, Refused
from spark_jobs.formats.tables import markdown_table, read_delimited

LIMITS = ParseLimits(document_bytes=10_000_000, file_bytes=10_000_000, seconds=30, memory_mb=512)


def rows(text: str) -> list[str]:
    """The lines of the table without the one under its header."""
    lines = read_delimited(io.BytesIO(text.encode()), LIMITS).text.splitlines()
    return [line for line in lines if "---" not in line]


@pytest.mark.parametrize(
    ("text", "last"),
    [
        ("Item;Price, EUR;Weight, kg\nQX-1;10,50;0,70\nQX-2;13,50;0,73\n", "| QX-2 | 13,50 | 0,73 |"),
        ('id,note,by\n1,"plain, text",Bo\n2,"said ""stop, now"", left",Ada\n', '| 2 | said "stop, now", left | Ada |'),
        ('id,note\n1,"a\nb, c"\n', "| 1 | a b, c |"),
        ('a, "b, c", d\n1, "2, 3", 4\n', "| 1 | 2, 3 | 4 |"),
        ('id,t\n1,"say \\"hi, you\\" now"\n2,"a \\"b\\" c, d"\n', '| 2 | a "b" c, d |'),
        ("'a','b'\n'1, 2','3; 4'\n", "| 1, 2 | 3; 4 |"),
        ("id,name\n1,O'Brien\n2,'t Hooft\n", "| 2 | 't Hooft |"),
        ('id,size,n\n1,"12 inch,3\n2,7 inch,4\n3,8 inch,5\n', "| 3 | 8 inch | 5 |"),
        ("a\tb, c\n1\t2, 3\n", "| 1 | 2, 3 |"),
        ("a|b\n1|2;3\n", "| 1 | 2;3 |"),
        ("sep=;\na,b;c\n1,2;3\n", "| 1,2 | 3 |"),
        ("Name\nMax Muster\nEva\n", "| Eva |"),
        ("Statement\nFrom: May\n\nDay;Amount;For\n1.5.;10,50;a, b\n2.5.;-1.000,00;c\n", "| 2.5. | -1.000,00 | c |"),
    ],
    ids=("decimal commas", "doubled quotes", "lines in quotes", "spaces", "backslashes", "single quotes", "apostrophes",
         "one quote", "tabs", "pipes", "named", "one column", "lines above"),
)  # fmt: skip
def test_the_dialect_is_that_of_the_most_regular_table(text: str, last: str) -> None:
    assert rows(text)[-1] == last


def test_a_row_of_many_quotes_takes_no_time() -> None:
    started = time.process_time()
    text = rows('id,note\n1,"fine"\n' + '"' * 5001 + 'x"\n2,"checked"\n')

    assert text[-1] == "| 2 | checked |"
    assert time.process_time() - started < 2


def test_lines_above_a_table_are_its_title() -> None:
    assert markdown_table([["Report"], [], ["a", "b"], ["1"]], 1000) == "Report\n\n| a | b |\n| --- | --- |\n| 1 |"


def test_a_table_with_a_long_header_names_its_columns_in_each_row() -> None:
    header = [f"column {number:03}" for number in range(40)]
    table = markdown_table([header, ["a"] + [""] * 38 + ["b|c"]], 10_000)

    assert table.startswith("Columns: column 000; column 001;")
    assert table.endswith("\n\n- column 000: a; column 039: b|c")


def test_a_table_that_is_too_large_is_refused_before_all_of_it_is_read() -> None:
    def endless():  # type: ignore[no-untyped-def]
        while True:
            yield ["a", "b"]

    with pytest.raises(Refused, match="oversize: a table of over"):
        markdown_table(endless(), 1000)
