"""Filters of a search: what they refuse, and that rows of the lakehouse meet them as rows of the index do."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from lakehouse.errors import InvalidInput
from lakehouse.index.permission_filter import readable_chunks
from lakehouse.index.search_filters import MAX_CHARACTERS, MAX_VALUES, UNKNOWN_TIME, SearchFilters, index_time, time_of

MAY = datetime(2026, 5, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"source": ("x",) * (MAX_VALUES + 1)}, "source: 101 values, at most 100"),
        ({"author": (" ",)}, "filter author=''"),
        ({"document_type": (".",)}, "filter document_type=''"),
        ({"path": "x" * (MAX_CHARACTERS + 1)}, "filter path="),
        ({"path": "a\0"}, "without NUL"),
        ({"updated_after": MAY, "updated_before": MAY}, "no time is in between"),
    ],
)
def test_a_filter_that_can_mean_nothing_is_refused(given, complaint):
    with pytest.raises(InvalidInput, match=complaint):
        SearchFilters(**given)


def test_a_type_is_met_in_any_case_and_with_its_dot():
    assert SearchFilters(document_type=(".PDF",)) == SearchFilters(document_type=("pdf",))


def test_the_permissions_come_first_and_every_filter_is_one_more_condition():
    filters = SearchFilters(
        source=("wiki",),
        author=('x"] or tenant_id != "',),
        updated_after=datetime(1970, 1, 1, 0, 0, 7),  # noqa: DTZ001  a caller may give no zone
        updated_before=datetime(1970, 1, 1, 1, 0, 9, tzinfo=timezone(timedelta(hours=1))),
    )

    assert readable_chunks("acme", ["k"], filters) == (
        'tenant_id == "acme" and acl_key in ["k"] and source in ["wiki"] '
        r'and author in ["x\"] or tenant_id != \""] '
        f"and updated_at >= 7 and updated_at > {UNKNOWN_TIME} and updated_at < 9"
    )


@pytest.mark.parametrize(
    ("path", "end"), [("hr/", "hr0"), ("50%_", "50%`"), ("a\ud7ff", "a\ue000"), ("b\U0010ffff", "c")]
)
def test_a_path_is_a_range_so_that_no_character_is_a_pattern(path, end):
    assert readable_chunks("acme", ["k"], SearchFilters(path=path)).endswith(f'doc_id >= "{path}" and doc_id < "{end}"')


def test_an_address_is_the_beginning_of_the_uri():
    assert 'uri >= "https://wiki/hr/"' in readable_chunks("acme", ["k"], SearchFilters(path="https://wiki/hr/"))


ROW = {
    "source": "wiki", "document_type": "pdf", "author": "Ida Kestrel", "doc_id": "hr/plan.pdf", "uri": "file:///hr",
    "updated_at": MAY,
}  # fmt: skip


@pytest.mark.parametrize(
    ("given", "is_met"),
    [
        ({}, True),
        ({"source": ("files", "wiki")}, True),
        ({"document_type": ("md",)}, False),
        ({"author": ("Ida  Kestrel",)}, True),
        ({"path": "hr/"}, True),
        ({"path": "file://"}, True),
        ({"path": "it/"}, False),
        ({"updated_after": MAY}, True),
        ({"updated_before": MAY}, False),
    ],
)
def test_a_row_of_the_lakehouse_meets_them(given, is_met):
    assert SearchFilters(**given).match(ROW) is is_met


def test_a_document_without_a_date_meets_no_bound_of_time():
    undated = ROW | {"updated_at": None, "author": None}

    assert not SearchFilters(updated_before=MAY).match(undated)
    assert not SearchFilters(updated_after=MAY).match(undated)
    assert not SearchFilters(author=("Ida Kestrel",)).match(undated)
    assert time_of(index_time(None)) is None
    assert time_of(index_time(MAY)) == MAY
