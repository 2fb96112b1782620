"""The ruler of the chunker: what it adds up must be what the tokenizer says."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from lakehouse.index.embedding import load_tokenizer
from spark_jobs.documents.token_offsets import TokenOffsets, words_of

TOKENIZER = load_tokenizer("all-MiniLM-L6-v2")
PIECES = st.sampled_from(
    ["word ", "Ångström", "e\u0301", "漢字", "[SEP]", "[MASK] ", "don't", "\x0c", "\x85", "\xa0", "\u3000", "\u200b",
     "\0", "\n", "\r\n", "\t", "x" * 120, "가", "🙂", "a,b;", "\ufffd", " \u0301"]
)  # fmt: skip


@settings(max_examples=500, deadline=None)
@given(st.one_of(st.lists(PIECES, max_size=30).map("".join), st.text(max_size=200)))
def test_the_tokens_of_a_text_are_those_of_its_words(text: str) -> None:
    encoding = TOKENIZER.encode(text, add_special_tokens=False)
    assert TokenOffsets(text, TOKENIZER).starts.tolist() == [start for start, _ in encoding.offsets]
    words = words_of(TOKENIZER)
    assert words
    assert words.count(text) == len(encoding.ids)


def test_a_span_that_cuts_a_word_is_not_exact() -> None:
    text = "unbelievable stories " + "x" * 9_000
    ruler = TokenOffsets(text, TOKENIZER)

    assert ruler.is_exact(0, 12)
    assert not ruler.is_exact(0, 5)
    assert not ruler.is_exact(2, 12)
    assert not ruler.is_exact(21, len(text))  # longer than a piece, so it was read in two


@pytest.mark.parametrize("change", ["pre_tokenizer", "added token"])
def test_a_tokenizer_that_looks_across_blanks_reads_the_text_itself(change: str) -> None:
    tokenizer = Tokenizer.from_str(TOKENIZER.to_str())
    if change == "pre_tokenizer":
        from tokenizers.pre_tokenizers import Metaspace

        tokenizer.pre_tokenizer = Metaspace()
    else:
        from tokenizers import AddedToken

        tokenizer.add_tokens([AddedToken("new york", normalized=False)])

    assert words_of(tokenizer) is None
    text = "In new york unbelievable stories"
    expected = [start for start, _ in tokenizer.encode(text, add_special_tokens=False).offsets]
    assert TokenOffsets(text, tokenizer).starts.tolist() == expected
    assert not TokenOffsets(text, tokenizer).is_exact(0, len(text))
