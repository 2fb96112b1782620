"""Values in the formats of spreadsheets."""

from datetime import date, datetime, time, timedelta
from typing import Any

import pytest

from spark_jobs.formats.number_formats import shown

_ACCOUNTING = '_-* #,##0.00\\ "€"_-;\\-* #,##0.00\\ "€"_-;_-* "-"??\\ "€"_-;_-@_-'


def _moment(day: int) -> datetime:
    return datetime.fromisoformat(f"2026-03-{day:02}T15:05")  # a sheet knows no time zones


@pytest.mark.parametrize(
    ("value", "number_format", "text"),
    [
        (3.0, "General", "3"),
        (0.1 + 0.2, "General", "0.3"),
        (True, "General", "TRUE"),
        (491511234567, "0", "491511234567"),
        (4711, "00000", "04711"),
        (123456789, "000-00-0000", "123-45-6789"),
        (0.19, "0%", "19%"),
        (1234.5, "#,##0.00", "1,234.50"),
        (1234.5, "#,##0.00\\ [$€-407]", "1,234.50 €"),
        (12, _ACCOUNTING, "12.00 €"),
        (-12, _ACCOUNTING, "-12.00 €"),
        (0, _ACCOUNTING, "- €"),
        (-5.5, "0.00;(0.00)", "(5.50)"),
        (-5.5, "0.00", "-5.50"),
        (12, '"No. "0', "No. 12"),
        (2, "0.##", "2"),
        (1_500_000, '0.0,,"M"', "1.5M"),
        (1.5, "# ?/?", "1.5"),
        (12345.678, "0.00E+00", "12345.678"),
        (5, "[>10]0;0.0", "5"),
        (date(2026, 3, 14), "mm-dd-yy", "2026-03-14"),
        (date(2026, 3, 14), "dd.mm.yyyy", "14.03.2026"),
        (_moment(14), "yyyy-mm-dd hh:mm", "2026-03-14 15:05"),
        (_moment(4), "d. mmmm yyyy h:mm AM/PM", "4. March 2026 3:05 PM"),
        (time(9, 5), "h:mm", "9:05"),
        (timedelta(hours=30, minutes=5), "[h]:mm:ss", "30:05:00"),
    ],
)
def test_a_value_reads_as_its_sheet_shows_it(value: Any, number_format: str, text: str) -> None:
    assert shown(value, number_format) == text
