"""The data dictionary in docs is the declarations, rendered."""

from lakehouse.analytics.dictionary import render
from lakehouse.settings import PROJECT_ROOT


def test_the_committed_page_is_what_the_declarations_say() -> None:
    page = (PROJECT_ROOT / "docs" / "data-dictionary.md").read_text()
    assert page == render(), "run: make docs"


def test_a_column_is_a_row_with_its_type_and_meaning() -> None:
    assert "| `token_count` | `INT NOT NULL` | Tokens of the embedded text" in render()
    assert "| `usd_per_success` | `DECIMAL(18,10)` | `usd` for each success" in render()
