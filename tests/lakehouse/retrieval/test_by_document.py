"""A search's results by document, and its pages."""

from functools import partial

import pytest

from lakehouse.errors import InvalidInput
from lakehouse.index.passages import MAX_K, Passage
from lakehouse.retrieval.by_document import best_documents, by_document, spread
from lakehouse.retrieval.paging import MAX_SHOWN, MAX_TOKEN_CHARACTERS, Pages


def passage(doc_id, number=0, source="wiki"):
    return Passage(f"{source}/{doc_id}/{number}", doc_id, doc_id, "", "text", "", 1.0, source=source)


def first(ranked, depth):
    return ranked[:depth]


BOOK = [passage("book", number) for number in range(60)]
RANKED = [*BOOK, *(passage(name) for name in "abcdef")]


def ids(passages):
    return [one.doc_id for one in passages]


def test_a_document_is_found_once_by_its_best_passage():
    found = by_document([BOOK[0], passage("a"), BOOK[1], BOOK[2]], per_document=2)

    assert [(one.chunk_id, [other.chunk_id for other in one.more]) for one in found] == [
        ("wiki/book/0", ["wiki/book/1"]),
        ("wiki/a/0", []),
    ]


def test_one_id_in_two_sources_is_two_documents():
    assert len(by_document([passage("a"), passage("a", source="files")])) == 2


def test_a_book_does_not_push_out_the_documents_behind_it():
    asked = []
    found = best_documents(lambda depth: asked.append(depth) or RANKED[:depth], 5, 1, lambda one: False, 0)

    assert ids(found) == ["book", "a", "b", "c", "d"]
    assert asked == [15, 60, 240]


def test_searching_deeper_has_an_end():
    asked = []
    found = best_documents(lambda depth: asked.append(depth) or BOOK[:1] * depth, 50, 1, lambda one: False, 0)

    assert (ids(found), asked[-1]) == (["book"], MAX_K)


@pytest.mark.parametrize(
    ("ranked", "expected"),
    [
        (RANKED, ["book", "book", "a", "b", "c"]),
        ([*BOOK[:4], passage("a")], ["book", "book", "a", "book", "book"]),
        (BOOK[:3], ["book", "book", "book"]),
    ],
)
def test_a_program_reads_few_passages_of_a_document_while_there_are_others(ranked, expected):
    assert ids(spread(ranked, 5, per_document=2)) == expected


def test_pages_hold_every_document_once_also_when_others_come_and_go():
    ranked, seen, token = list(RANKED), [], None
    for _ in range(4):
        pages = Pages.of(("acme", "why?"), token)
        page = best_documents(partial(first, ranked), 2, 1, pages.is_shown, len(pages.shown))
        seen += ids(page)
        token = pages.next_token(page, 2)
        ranked = [passage("new"), *(one for one in ranked if one.doc_id != "b")]
        if token is None:
            break

    assert seen == ["book", "a", "new", "c", "d", "e", "f"]
    assert token is None


@pytest.mark.parametrize("token", ["", "x", "AAAAAAAAAAA=", "é"])
def test_a_token_of_another_search_is_refused(token):
    with pytest.raises(InvalidInput, match=r"page_token .* belongs to no page of this search"):
        Pages.of(("acme", "why?"), token)


def test_a_token_of_all_pages_fits_its_bound():
    pages = Pages.of(("acme",), None)
    token = pages.next_token([passage(str(number)) for number in range(MAX_SHOWN - 1)], 1)

    assert token
    assert len(token) <= MAX_TOKEN_CHARACTERS
    assert len(Pages.of(("acme",), token).shown) == MAX_SHOWN - 1
    assert pages.next_token([passage(str(number)) for number in range(MAX_SHOWN)], 1) is None
