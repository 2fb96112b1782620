"""The words that an index holds and a question asks for."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.text.search_text import all_words, paired, search_text, words


@pytest.mark.parametrize(
    ("document", "question"),
    [
        (r"max\_idle\_conns\_per\_host", "max_idle_conns_per_host"),
        ("maxIdleConns", "max idle conns"),
        ("max_idle_conns", "maxIdleConns"),
        ("Pra\u0308zisionswaage, Nu\u0301n\u0303ez", "Núñez Präzisionswaage"),
        ("Daten\u00adschutz\u00adbeauf\u00adtragte", "Datenschutzbeauftragte"),
        ("every con\ufb01guration", "configuration"),
        ("read the mainte-\nnance manual", "maintenance"),
        ("read the mainte\u00ad\r\nnance manual", "maintenance"),
        ("a well-\nknown fact", "known"),
        ("报销须提交申请单，逾期", "申请单"),
        ("员工出差报\n销须在", "报销"),
        ("領収書が必要です", "領収書"),
        ("税込み", "税"),
        ("영수증을 제출", "영수증"),
        ("โปรดแนบใบเสร็จรับเงิน", "ใบเสร็จ"),
        ("हिन्दी भाषा", "हिन्दी"),
        ("ＥＲＲ－４００３", "ERR-4003"),
        ("ERR-4003", "err4003"),
        ("見積QX-77番", "QX-77"),
    ],
)
def test_a_document_holds_the_words_that_a_question_asks_for(document: str, question: str) -> None:
    held = search_text(document, is_document=True).split()
    asked = search_text(question).split()
    assert asked
    assert set(asked) <= set(held)


def test_a_question_asks_for_pairs_of_characters_and_not_for_each_character() -> None:
    assert search_text("申请单 ERR-4003") == "申请 请单 err 4003 err4003"


def test_names_are_of_single_characters_and_searches_of_pairs() -> None:
    assert words("領収書 ABC") == ["領", "収", "書", "abc"]
    assert paired(all_words("領収書 ABC")) == ["領収", "収書", "abc"]


@given(st.text())
def test_an_engines_tokenizer_leaves_each_word_whole(text: str) -> None:
    searched = search_text(text, is_document=True)
    assert re.findall(r"\w+", searched.lower()) == searched.split()
    assert all(word.isalnum() for word in searched.split())


@pytest.mark.parametrize("odd", ["a-", "a_", "\\", "&", "&a", "a-\n", "領", "İ\u0301", "\u00ad"])
def test_odd_texts_take_time_in_proportion(odd: str) -> None:
    text = odd * (200_000 // len(odd))
    begun = time.process_time()
    search_text(text, is_document=True)
    assert time.process_time() - begun < 3
