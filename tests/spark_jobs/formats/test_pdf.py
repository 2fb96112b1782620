"""PDFs: words across lines, page furniture, values of forms."""

import io

from spark_jobs.formats.document import ParseLimits
from spark_jobs.formats.pdf import joined_words, read_pdf, without_furniture
from tests.spark_jobs.formats import samples

LIMITS = ParseLimits(document_bytes=100_000, file_bytes=1_000_000, seconds=30, memory_mb=512)


def test_a_word_split_at_a_lines_end_is_whole_again_and_a_hyphen_that_is_meant_stays() -> None:
    pages = [
        "Read the mainte\x02nance and the main-\ntenance manual.",
        "A two-step test, two-\nstep again, KSB-\n19, A\x02B.",
    ]

    assert joined_words(pages) == [
        "Read the maintenance and the maintenance manual.",
        "A two-step test, two-step again, KSB-\n19, A-B.",
    ]


def test_running_headers_and_footers_stand_on_their_first_page_only() -> None:
    pages = [f"Manual\nPart {name}\ntext {name}\nPage {number} of 4" for number, name in enumerate("abcd", start=1)]

    assert without_furniture(pages) == [pages[0], "Part b\ntext b", "Part c\ntext c", "Part d\ntext d"]
    assert without_furniture(["Invoice 17\na", "Invoice 18\nb", "Invoice 19\nc"]) == [
        "Invoice 17\na", "Invoice 18\nb", "Invoice 19\nc",
    ]  # fmt: skip


def test_values_of_a_form_and_notes_are_read_and_passwords_are_not() -> None:
    fields = {"Name": "Ostrowski", "Goal": "Ljubljana", "Empty": ""}
    form = samples.pdf_form(fields, note="Call back.", secret="hunter2", author="Mia Lang")

    read = read_pdf(io.BytesIO(form), LIMITS)

    assert read.text.split("\n\n")[1] == "- Name: Ostrowski\n- Goal: Ljubljana\n- Call back."
    assert read.author == "Mia Lang"
