"""Cut a Markdown document into chunks along its structure, measured in the embedding model's own tokens.

Headings, fenced code, tables and lists stay whole where they fit. A block that does not fit is cut at list items, then
lines, sentences, words, tokens and at last characters, because a model silently ignores the end of a chunk that is too
long. Every chunk is a span of the document without blank edges; together the chunks cover all text that is not blank.
The text of a chunk that begins among the rows of a table starts with the table's header, which names the columns.

Time grows linearly with the document: it is tokenized once, and the number of tokens between two offsets is a binary
search in the start offsets of the tokens. No Spark here: a document in, its chunks out.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice, pairwise

import numpy as np
from tokenizers import Tokenizer

from lakehouse.index.embedding import embedded_text
from spark_jobs.documents.token_offsets import TokenOffsets, words_of
from spark_jobs.formats.markdown_blocks import LINE_END, Block, blocks

CUTTING_VERSION = 2
"""Raise it when the same document gives other chunks: the next ingest of a tenant then cuts all its documents anew."""
# A token may stand for a long text: BERT reads a word of over 100 letters as one `[UNK]`, and blanks as no token.
# Milvus stores at most 65,535 bytes in a field, and a character has at most four bytes.
CHARACTERS_PER_TOKEN = 20
MAX_CHARACTERS = 16_000
_BATCH = 256

_SENTENCE_END = re.compile(r"[.!?…]['\"”’)\]]*\s+|[。！？]\s*")
_WORD_END = re.compile(r"\s+")
_TEXT_BOUNDARIES = (LINE_END, _SENTENCE_END, _WORD_END)
_CHARACTERS = len(_TEXT_BOUNDARIES) + 3  # the finest kind of boundary, after blocks, items, text and tokens


@dataclass(frozen=True)
class Chunk:
    """A span of a document. `heading_path`: headings above its start; `token_count`: tokens of the embedded text.

    `text` is the span, after the header of the table in whose rows it begins.
    """

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
        self._block_starts = [block.start for block in self._blocks]
        self._item_starts = [start for block in self._blocks for start in block.items]
        glued = [
            (block.start, after.start) for block, after in pairwise(self._blocks) if block.level > after.level == 0
        ]
        glued += [(block.start, block.rows) for block in self._blocks if block.rows]
        self._glued = sorted(glued)  # a heading and its text, a table's header and its first row
        self._tables = _Tables(text, self._blocks, tokenizer)
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
        """Neighbouring sections joined while they fit, as (first, last) blocks.

        A section joins the open span unless its heading is above the headings of that span, so the text of a chunk
        stands under one heading.
        """
        sections = self._sections()
        first, last = next(sections)
        top = self._blocks[first].level
        for start, end in sections:
            level = self._blocks[start].level
            fits = self._fits(self._blocks[first].start, self._blocks[end].end, self._budget(first, end))
            if level < top or not fits:
                yield first, last
                first, top = start, level
            last = end
        yield first, last

    def _sections(self) -> Iterator[tuple[int, int]]:
        """Each heading with the blocks below it, as (first, last); a heading without text goes with the next one."""
        first, has_text = 0, False
        for number, block in enumerate(self._blocks):
            if block.level and has_text:
                yield first, number - 1
                first, has_text = number, False
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

    def _split(self, start: int, end: int, budget: int) -> Iterator[tuple[int, int]]:
        """The span as the fewest pieces that fit, about equally long."""
        start, end = _trimmed(self._text, start, end)
        if self._fits(start, end, budget):
            if start < end:
                yield start, end
            return
        places = np.array([start, *self._cuts(start, end, budget), end], np.int64)
        for left, right in pairwise(places[self._even_cuts(places, budget)].tolist()):
            piece = _trimmed(self._text, left, right)
            if piece[0] < piece[1]:
                yield piece

    def _cuts(self, start: int, end: int, budget: int, kind: int = 0) -> Iterator[int]:
        """Offsets where a span may be cut: coarse boundaries, and finer boundaries inside a part that does not fit."""
        for left, right in pairwise([start, *self._boundaries(kind, start, end), end]):
            if left > start:
                yield left
            if kind < _CHARACTERS and not self._fits(*_trimmed(self._text, left, right), budget):
                yield from self._cuts(left, right, budget, kind + 1)

    def _even_cuts(self, places: np.ndarray, budget: int) -> list[int]:
        """Numbers of the places that cut a span into the fewest pieces that fit, the pieces about equally long."""
        tokens = np.searchsorted(self._token_starts, places)
        room = budget - np.array([self._header(place)[1] for place in places.tolist()])
        furthest = np.minimum(
            np.searchsorted(tokens, tokens + room, "right"),
            np.searchsorted(places, places + self._max_characters, "right"),
        )
        furthest = np.maximum(furthest - 1, np.arange(len(places)) + 1).tolist()
        pieces = [0] * len(places)  # from each place to the end
        for number in range(len(places) - 2, -1, -1):
            pieces[number] = 1 + pieces[furthest[number]]
        fewer = -np.array(pieces)  # ascending
        cuts = [0]
        while (here := cuts[-1]) < len(places) - 1:
            share = -(-(tokens[-1] - tokens[here]) // pieces[here])
            enough = int(np.searchsorted(tokens, tokens[here] + share))
            feasible = int(np.searchsorted(fewer, 1 - pieces[here]))
            cuts.append(min(max(enough, feasible, here + 1), furthest[here]))
        return cuts

    def _boundaries(self, kind: int, start: int, end: int) -> Sequence[int]:
        """Offsets inside a span. `kind` 0: blocks; then list items, lines, sentences, words, tokens, characters."""
        if kind == _CHARACTERS:
            return range(start + self._max_characters, end, self._max_characters)
        if kind == _CHARACTERS - 1:
            return _within(self._token_starts, start, end)
        if kind < 2:
            places = _within(self._item_starts if kind else self._block_starts, start, end)
        else:
            matches = _TEXT_BOUNDARIES[kind - 2].finditer(self._text, start, end)
            places = [match.end() for match in matches if match.end() < end]
        return [place for place in places if not self._is_glued(place)]

    def _is_glued(self, place: int) -> bool:
        """Whether a cut at this offset would part a heading from its text, or a table's header from its rows."""
        before = bisect_left(self._glued, (place,)) - 1
        return before >= 0 and place <= self._glued[before][1]

    def _header(self, start: int) -> tuple[str, int]:
        """The header of the table in whose rows a span begins, and its tokens; no header of more than half the room."""
        header, tokens = self._tables.header(start)
        room = self._max_tokens - self._overhead - self._headings.tokens(start)
        return (header, tokens) if tokens <= room // 2 else ("", 0)

    def _after_tokens(self, start: int, count: int) -> int:
        """The offset after `count` tokens, counted from `start`."""
        number = bisect_left(self._token_starts, start) + count
        return self._token_starts[number] if number < len(self._token_starts) else len(self._text)

    def _measured(self, pieces: Iterable[tuple[int, int]]) -> Iterator[Chunk]:
        """Chunks with exact token counts. A piece that turns out too long is halved."""
        pieces = iter(pieces)
        while batch := list(islice(pieces, _BATCH)):
            chunks = [self._chunk(start, end) for start, end in batch]
            for chunk, count in zip(chunks, self._exact_counts(chunks), strict=True):
                if count <= self._max_tokens or chunk.end - chunk.start == 1:
                    yield replace(chunk, token_count=count)
                else:
                    yield from self._measured(self._halves(chunk.start, chunk.end))

    def _chunk(self, start: int, end: int) -> Chunk:
        """The chunk of a span, its tokens as far as they are known without its text; 0: not known."""
        header, header_tokens = self._header(start)
        path = self._headings.path(start)
        tokens = 0
        if self._words and self._ruler.is_exact(start, end):
            tokens = self._overhead + sum(map(self._words.count, path)) + header_tokens + self._tokens(start, end)
        return Chunk(start, end, header + self._text[start:end], path, tokens)

    def _exact_counts(self, chunks: Sequence[Chunk]) -> list[int]:
        """Tokens of the embedded text of each chunk, counted by the tokenizer where a sum is not exact."""
        texts = [
            embedded_text(self._title, chunk.heading_path, chunk.text) for chunk in chunks if not chunk.token_count
        ]
        measured = iter(self._tokenizer.encode_batch(texts))
        return [chunk.token_count or len(next(measured).ids) for chunk in chunks]

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


class _Tables:
    """The headers of the pipe tables of a document."""

    def __init__(self, text: str, blocks: Sequence[Block], tokenizer: Tokenizer) -> None:
        self._blocks = [block for block in blocks if block.rows]
        self._headers = [_header_text(text[block.start : block.rows]) for block in self._blocks]
        self._tokens = [len(tokenizer.encode(header, add_special_tokens=False).ids) for header in self._headers]

    def header(self, offset: int) -> tuple[str, int]:
        """The header of the table whose rows hold the offset, and its tokens; empty outside rows."""
        number = bisect_left(self._blocks, offset, key=lambda block: block.start) - 1
        if number < 0 or not self._blocks[number].rows <= offset < self._blocks[number].end:
            return "", 0
        return self._headers[number], self._tokens[number]


def _header_text(lines: str) -> str:
    """The names of the columns, and the delimiter row as short as Markdown allows: each of its dashes is a token."""
    names, delimiters = lines.strip().splitlines()
    return f"{names}\n{re.sub(r'[ -]+', '-', delimiters)}\n"


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


def _within(places: Sequence[int], start: int, end: int) -> Sequence[int]:
    """The ascending places after `start` and before `end`."""
    return places[bisect_right(places, start) : bisect_left(places, end)]


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return start, end
