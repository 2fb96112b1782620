"""Cut a Markdown document into chunks along its structure, measured in the embedding model's own tokens.

Headings, fenced code, tables and lists stay whole where they fit. A block that does not fit is cut at list items, then
lines, sentences, words, tokens and at last characters, because a model silently ignores the end of a chunk that is too
long. Every chunk is a span of the document without blank edges; together the chunks cover all text that is not blank.

Time grows linearly with the document: it is tokenized once, and the number of tokens between two offsets is a binary
search in the start offsets of the tokens. No Spark here: a document in, its chunks out.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise

from tokenizers import Tokenizer

from lakehouse.index.embedding import embedded_text
from spark_jobs.documents.token_offsets import TokenOffsets, words_of
from spark_jobs.formats.markdown_blocks import LINE_END, Block, blocks

# A token may stand for a long text: BERT reads a word of over 100 letters as one `[UNK]`, and blanks as no token.
# Milvus stores at most 65,535 bytes in a field, and a character has at most four bytes.
CHARACTERS_PER_TOKEN = 20
MAX_CHARACTERS = 16_000
_BATCH = 256

_SENTENCE_END = re.compile(r"[.!?…]['\"”’)\]]*\s+|[。！？]\s*")
_WORD_END = re.compile(r"\s+")
_TEXT_BOUNDARIES = (LINE_END, _SENTENCE_END, _WORD_END)


@dataclass(frozen=True)
class Chunk:
    """A span of a document. `heading_path`: headings above its start; `token_count`: tokens of the embedded text."""

    start: int
    end: int
    text: str
    heading_path: tuple[str, ...]
    token_count: int


def chunk_document(text: str, title: str, tokenizer: Tokenizer, max_tokens: int) -> list[Chunk]:
    """The document's chunks in order, each of at most `max_tokens` tokens (32 or more) with special tokens.

    The tokens are those of `embedded_text(title, heading_path, text)`. Take `title` from `embedded_title`. The
    tokenizer must neither truncate nor pad.
    """
    return list(_Chunker(text, title, tokenizer, max_tokens).chunks()) if text.strip() else []


def embedded_title(title: str, tokenizer: Tokenizer, max_tokens: int) -> str:
    """The title, cut to a quarter of a chunk, so that room for text is left."""
    return _first_tokens(title, tokenizer, max_tokens // 4)[0]


class _Chunker:
    """Cuts one document: packs blocks into spans, splits long spans, measures each piece."""

    def __init__(self, text: str, title: str, tokenizer: Tokenizer, max_tokens: int) -> None:
        self._text = text
        self._title = title
        self._tokenizer = tokenizer
        self._max_tokens = max_tokens
        self._max_characters = min(MAX_CHARACTERS, CHARACTERS_PER_TOKEN * max_tokens)
        self._words = words_of(tokenizer)
        self._ruler = TokenOffsets(text, tokenizer)
        self._token_starts = self._ruler.starts
        self._blocks = blocks(text)
        self._headings = _Headings(self._blocks, tokenizer, max_tokens // 4)
        self._item_starts = sorted({cut for block in self._blocks for cut in (block.start, *block.items)})
        pairs = [(block, after) for block, after in pairwise(self._blocks) if block.level and not after.level]
        self._glued_starts = [block.start for block, _ in pairs]
        self._glued_ends = [after.start for _, after in pairs]
        # Tokens of the title and special tokens. The tokens of a joined text may differ from the sum of its parts;
        # `_measured` corrects that.
        self._overhead = len(tokenizer.encode(title).ids)

    def chunks(self) -> Iterator[Chunk]:
        return self._measured(
            piece
            for first, last in self._packed()
            for piece in self._split(self._blocks[first].start, self._blocks[last].end, self._budget(first, last))
        )

    def _packed(self) -> Iterator[tuple[int, int]]:
        """Neighbouring blocks joined while they fit, as (first, last). A heading stays with the block after it.

        A heading begins a new span, unless the open span is less than a quarter full and the heading is not above the
        headings of that span: small sections share a chunk.
        """
        first = 0
        top = 7  # level of the outermost heading in the open span; 7: none
        has_text = False
        for number, block in enumerate(self._blocks):
            start, budget = self._blocks[first].start, self._budget(first, number)
            joins = self._fits(start, block.end, budget) or not has_text
            if block.level and has_text:
                joins = joins and block.level >= top and self._tokens(start, block.start) < budget // 4
            if number > first and not joins:
                yield first, number - 1
                first, top, has_text = number, 7, False
            top = min(top, block.level or 7)
            has_text = has_text or not block.level
        yield first, len(self._blocks) - 1

    def _budget(self, first: int, last: int) -> int:
        """Tokens left for the text of a span after the title and the longer of the heading paths at its two ends."""
        start, end = self._blocks[first].start, self._blocks[last].end
        return self._max_tokens - self._overhead - max(self._headings.tokens(start), self._headings.tokens(end - 1))

    def _tokens(self, start: int, end: int) -> int:
        return bisect_left(self._token_starts, end) - bisect_left(self._token_starts, start)

    def _fits(self, start: int, end: int, budget: int) -> bool:
        return end - start <= self._max_characters and self._tokens(start, end) <= budget

    def _split(self, start: int, end: int, budget: int, boundary: int = 0) -> Iterator[tuple[int, int]]:
        """Cut a span into pieces that fit, at the coarsest possible boundaries."""
        start, end = _trimmed(self._text, start, end)
        if self._fits(start, end, budget):
            if start < end:
                yield start, end
            return
        places = self._boundaries(boundary, start, end)
        while start < end:
            cut = self._next_cut(start, end, budget, places)
            yield from self._split(start, cut, budget, boundary + 1)
            start = cut

    def _boundaries(self, kind: int, start: int, end: int) -> Sequence[int]:
        """Offsets for cuts. `kind` 0: blocks and items; 1 to 5: lines, sentences, words, tokens, characters."""
        if kind == 0:
            first, last = bisect_right(self._item_starts, start), bisect_left(self._item_starts, end)
            places: Iterable[int] = self._item_starts[first:last]
        elif kind <= len(_TEXT_BOUNDARIES):
            matches = _TEXT_BOUNDARIES[kind - 1].finditer(self._text, start, end)
            places = (match.end() for match in matches if match.end() < end)
        elif kind == len(_TEXT_BOUNDARIES) + 1:
            return self._token_starts[bisect_right(self._token_starts, start) : bisect_left(self._token_starts, end)]
        else:
            return range(start + 1, end)
        return [place for place in places if not self._parts_heading(place)]

    def _parts_heading(self, place: int) -> bool:
        """Whether a cut at this offset would part a heading from its text."""
        before = bisect_left(self._glued_starts, place) - 1
        return before >= 0 and place <= self._glued_ends[before]

    def _next_cut(self, start: int, end: int, budget: int, places: Sequence[int]) -> int:
        """The next cut, for pieces that fit and are about equally long. Without a boundary the piece is too long."""
        if self._fits(start, end, budget):
            return end
        remaining = self._tokens(start, end)
        pieces = max(-(-remaining // max(budget, 1)), -(-(end - start) // self._max_characters))
        limit = min(self._after_tokens(start, budget), start + self._max_characters)
        enough = min(self._after_tokens(start, -(-remaining // pieces)), start + -(-(end - start) // pieces))
        last = bisect_right(places, limit) - 1
        wanted = min(bisect_left(places, enough), last)
        if wanted >= 0 and places[wanted] > start:
            return places[wanted]
        after = bisect_right(places, start)
        return places[after] if after < len(places) else end

    def _after_tokens(self, start: int, count: int) -> int:
        """The offset after `count` tokens, counted from `start`."""
        number = bisect_left(self._token_starts, start) + count
        return self._token_starts[number] if number < len(self._token_starts) else len(self._text)

    def _measured(self, pieces: Iterable[tuple[int, int]]) -> Iterator[Chunk]:
        """Chunks with exact token counts. A piece that turns out too long is halved."""
        pieces = iter(pieces)
        while batch := list(islice(pieces, _BATCH)):
            paths = [self._headings.path(start) for start, _ in batch]
            for (start, end), path, count in zip(batch, paths, self._exact_counts(batch, paths), strict=True):
                if count <= self._max_tokens or end - start == 1:
                    yield Chunk(start, end, self._text[start:end], path, count)
                else:
                    yield from self._measured(self._halves(start, end))

    def _exact_counts(self, spans: Sequence[tuple[int, int]], paths: Sequence[tuple[str, ...]]) -> list[int]:
        """Tokens of the embedded text of each span: a sum where that is exact, else counted by the tokenizer."""
        sums = [self._sum(start, end, path) for (start, end), path in zip(spans, paths, strict=True)]
        texts = [
            embedded_text(self._title, path, self._text[start:end])
            for (start, end), path, tokens in zip(spans, paths, sums, strict=True)
            if tokens is None
        ]
        measured = iter(self._tokenizer.encode_batch(texts))
        return [len(next(measured).ids) if tokens is None else tokens for tokens in sums]

    def _sum(self, start: int, end: int, path: Sequence[str]) -> int | None:
        if self._words is None or not self._ruler.is_exact(start, end):
            return None
        return self._overhead + sum(map(self._words.count, path)) + self._tokens(start, end)

    def _halves(self, start: int, end: int) -> list[tuple[int, int]]:
        middle = self._after_tokens(start, self._tokens(start, end) // 2)
        if not start < middle < end:
            middle = (start + end) // 2
        halves = (_trimmed(self._text, start, middle), _trimmed(self._text, middle, end))
        return [(left, right) for left, right in halves if left < right]


class _Headings:
    """The headings above an offset, and their tokens. Where they do not all fit, the innermost headings stay."""

    def __init__(self, blocks: Sequence[Block], tokenizer: Tokenizer, max_tokens: int) -> None:
        self._starts: list[int] = []
        self._below: list[tuple[tuple[str, ...], int]] = [((), 0)]  # path and tokens after heading n-1
        self._above: list[tuple[tuple[str, ...], int]] = []  # path and tokens where heading n begins
        stack: list[tuple[int, str, int]] = []
        for block in blocks:
            if block.level:
                stack = [entry for entry in stack if entry[0] < block.level]
                self._starts.append(block.start)
                self._above.append(_innermost(stack, max_tokens))
                if block.heading:
                    stack.append((block.level, *_first_tokens(block.heading, tokenizer, max_tokens)))
                self._below.append(_innermost(stack, max_tokens))

    def path(self, offset: int) -> tuple[str, ...]:
        return self._at(offset)[0]

    def tokens(self, offset: int) -> int:
        return self._at(offset)[1]

    def _at(self, offset: int) -> tuple[tuple[str, ...], int]:
        number = bisect_left(self._starts, offset)
        if number < len(self._starts) and self._starts[number] == offset:
            return self._above[number]
        return self._below[number]


def _innermost(stack: Sequence[tuple[int, str, int]], max_tokens: int) -> tuple[tuple[str, ...], int]:
    kept: list[str] = []
    used = 0
    for _, heading, tokens in reversed(stack):
        if used + tokens > max_tokens:
            break
        kept.append(heading)
        used += tokens
    return tuple(reversed(kept)), used


def _first_tokens(text: str, tokenizer: Tokenizer, count: int) -> tuple[str, int]:
    """The beginning of a text, at most `count` tokens, and its number of tokens."""
    text = text[: count * CHARACTERS_PER_TOKEN].strip()
    words = words_of(tokenizer)
    if words and (tokens := words.count(text)) <= count:
        return text, tokens
    offsets = tokenizer.encode(text, add_special_tokens=False).offsets
    if len(offsets) <= count:
        return text, len(offsets)
    return text[: offsets[count][0]].strip(), count


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return start, end
