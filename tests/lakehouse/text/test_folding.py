"""One form for all ways of writing a word, and the way back to what was written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.text.folding import FoldedText, alike, folded, plain

UNUSUAL = st.text(st.sampled_from("aZß\u0301\u0308\u00adİıŁﬁ\\_&;amp½²™\u200b\ufeff領が\u3099ｶﾞ한ᄒ\u1161ใ่हि्١ "))


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("Pra\u0308zision", "Präzision"),
        ("Daten\u00adschutz", "Datenschutz"),
        ("Kunden\u200bnummer", "Kundennummer"),
        ("\u202aKenn\u2060wort\u202c", "Kennwort"),
        ("Moor\ufeffhuhn", "Moorhuhn"),
        ("con\ufb01gu\u00adration", "configuration"),
        ("mainte\ufffenance", "maintenance"),
        (r"max\_idle\_conns \*", "max_idle_conns *"),
        ("K&ouml;ln &amp; Trier&#8203;tor", "Köln & Triertor"),
        ("AT&T; C:\\temp", "AT&T; C:\\temp"),
        ("ＥＲＲ－４００３", "ERR-4003"),
        ("ﾊﾞｯｸ", "バック"),
        ("2*3*4", "2*3*4"),
    ],
)
def test_a_plain_text_is_as_it_is_meant(written: str, meant: str) -> None:
    assert plain(written) == meant


@pytest.mark.parametrize(
    ("written", "typed"),
    [
        ("NÚÑEZ", "nunez"),
        ("İSTANBUL DIŞ", "istanbul dis"),
        ("Straße", "STRASSE"),
        ("Łódź Smørrebrød Cœur", "lodz smorrebrod coeur"),
        ("ΣΊΣΥΦΟΣ", "σισυφος"),
        ("Ёлка", "ЕЛКА"),
        ("كِتَـــاب", "كتاب"),
        ("שָׁלוֹם", "שלום"),
        ("٣٤٥ ४२", "345 42"),
        ("H₂O m²", "h2o m2"),
    ],
)
def test_ways_of_writing_meet(written: str, typed: str) -> None:
    assert alike(written, typed)


@pytest.mark.parametrize(("one", "other"), [("か", "が"), ("ใกล้", "ไกล"), ("कमल", "कमाल"), ("11½", "111/2")])
def test_what_makes_another_word_stays(one: str, other: str) -> None:
    assert not alike(one, other)


def test_signs_of_other_size_are_no_part_of_the_word_before_them() -> None:
    assert folded(plain("Lakehop™ report¹ 1½")).split() == ["lakehop", "tm", "report", "1", "1", "1⁄2"]


@pytest.mark.parametrize(
    ("text", "sought", "cut"),
    [
        ("İlk İkon: küratörü Orhan Karatepe olarak", "orhan karatepe", "Orhan Karatepe"),
        ("a con\ufb01g file", "config", "con\ufb01g"),
        ("Nu\u0301n\u0303ez kam", "nunez", "Nu\u0301n\u0303ez"),
        ("x &amp; max\\_idle now", "& max_idle", "&amp; max\\_idle"),
        ("Daten\u00adschutz", "datenschutz", "Daten\u00adschutz"),
        ("한국어로", "국어", "국어"),
    ],
)
def test_what_is_found_in_a_folded_text_is_cut_from_the_original(text: str, sought: str, cut: str) -> None:
    searched = FoldedText(text)
    start = searched.text.index(sought)
    assert searched.cut(start, start + len(sought)) == cut


@given(UNUSUAL)
def test_every_offset_of_a_folded_text_leads_into_the_original(text: str) -> None:
    searched = FoldedText(text)
    spans = [searched.span(at, at + 1) for at in range(len(searched.text))]
    assert all(0 <= start < end <= len(text) for start, end in spans)
    assert spans == sorted(spans)


@given(UNUSUAL)
def test_folding_twice_is_folding_once(text: str) -> None:
    assert folded(folded(plain(text))) == folded(plain(text))
