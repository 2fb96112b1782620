"""Cut a Markdown document into chunks along its structure, with the embedding model's own tokens as the measure.

Headings, fenced code, tables and lists stay whole where they fit. What does not fit is cut at list items, then
lines, sentences, words, tokens and at last characters: a chunk that is too long for the model would lose its end in
silence. Every chunk is a span of the document, trimmed of blank edges; together they cover all that is not blank.

Time grows linearly with the document: it is tokenized once, and every later question (how many tokens lie between
these two offsets?) is a binary search in the tokens' start offsets. No Spark here: a document in, its chunks out.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise

from tokenizers import Tokenizer

from lakehouse.index.embedding import embedded_text
from spark_jobs.documents.token_offsets import TokenStarts, words_of
from spark_jobs.formats.markdown_blocks import LINE_END, Block, blocks

# A token may stand for a long stretch of text: a word of over 100 letters is one `[UNK]` to BERT, and a run of
# blanks is none. Milvus stores at most 65,535 bytes in a field, and a character has at most four.
CHARACTERS_PER_TOKEN = 20
MAX_CHARACTERS = 16_000
_BATCH = 256

_SENTENCE_END = re.compile(r"[.!?…]['\"”’)\]]*\s+|[。！？]\s*")
_WORD_END = re.compile(r"\s+")
_TEXT_BOUNDARIES = (LINE_END, _SENTENCE_END, _WORD_END)


@dataclass(frozen=True)
class Chunk:
    """A span of a document. `heading_path`: the headings above its start; `token_count`: of what is embedded."""

    start: int
    end: int
    text: str
    heading_path: tuple[str, ...]
    token_count: int


def chunk_document(text: str, title: str, tokenizer: Tokenizer, max_tokens: int) -> list[Chunk]:
    """The document's chunks in order, each of at most `max_tokens` (32 or more), special tokens counted.

    The measure is `embedded_text(title, heading_path, text)`. Take `title` from `embedded_title`; the tokenizer
    must neither truncate nor pad.
    """
    return list(_Chunker(text, title, tokenizer, max_tokens).chunks()) if text.strip() else []


def embedded_title(title: str, tokenizer: Tokenizer, max_tokens: int) -> str:
    """The title, or as many of its first tokens as a quarter of a chunk holds: the text needs room as well."""
    return _first_tokens(title, tokenizer, max_tokens // 4)[0]


class _Chunker:
    """One document on its way to chunks: blocks are packed into spans, long spans split, each piece measured."""

    def __init__(self, text: str, title: str, tokenizer: Tokenizer, max_tokens: int) -> None:
        self._text = text
        self._title = title
        self._tokenizer = tokenizer
        self._max_tokens = max_tokens
        self._max_characters = min(MAX_CHARACTERS, CHARACTERS_PER_TOKEN * max_tokens)
        self._words = words_of(tokenizer)
        self._ruler = TokenStarts(text, tokenizer)
        self._token_starts = self._ruler.starts
        self._blocks = blocks(text)
        self._headings = _Headings(self._blocks, tokenizer, max_tokens // 4)
        self._item_starts = sorted({cut for block in self._blocks for cut in (block.start, *block.items)})
        pairs = [(block, after) for block, after in pairwise(self._blocks) if block.level and not after.level]
        self._glued_starts = [block.start for block, _ in pairs]
        self._glued_ends = [after.start for _, after in pairs]
        # of the title and the special tokens; where the tokens of joined text are not the sum of its parts',
        # `_measured` finds out
        self._overhead = len(tokenizer.encode(title).ids)

    def chunks(self) -> Iterator[Chunk]:
        return self._measured(
            piece
            for first, last in self._packed()
            for piece in self._split(self._blocks[first].start, self._blocks[last].end, self._budget(first, last))
        )

    def _packed(self) -> Iterator[tuple[int, int]]:
        """Neighbouring blocks joined while they fit, as (first, last). A heading is never parted from what follows.

        A heading begins a new span, unless the open one is under a quarter full and the heading is not above its
        own: small sections share a chunk.
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
        """Tokens left for the text of a span, below the title and the longer of the heading paths at its ends."""
        start, end = self._blocks[first].start, self._blocks[last].end
        return self._max_tokens - self._overhead - max(self._headings.tokens(start), self._headings.tokens(end - 1))

    def _tokens(self, start: int, end: int) -> int:
        return bisect_left(self._token_starts, end) - bisect_left(self._token_starts, start)

    def _fits(self, start: int, end: int, budget: int) -> bool:
        return end - start <= self._max_characters and self._tokens(start, end) <= budget

    def _split(self, start: int, end: int, budget: int, boundary: int = 0) -> Iterator[tuple[int, int]]:
        """Cut a span into pieces that fit, at the coarsest boundaries that do it."""
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
        """Where a span may be cut: at blocks and items, lines, sentences, words, tokens, characters, by `kind`."""
        if kind == 0:
            first, last = bisect_right(self._item_starts, start), bisect_left(self._item_starts, end)
            places: Iterable[int] = self._item_starts[first:last]
        elif kind <= len(_TEXT_BOUNDARIES):
            found = _TEXT_BOUNDARIES[kind - 1].finditer(self._text, start, end)
            places = (match.end() for match in found if match.end() < end)
        elif kind == len(_TEXT_BOUNDARIES) + 1:
            return self._token_starts[bisect_right(self._token_starts, start) : bisect_left(self._token_starts, end)]
        else:
            return range(start + 1, end)
        return [place for place in places if not self._parts_heading(place)]

    def _parts_heading(self, place: int) -> bool:
        """Whether a cut there would part a heading from its text."""
        before = bisect_left(self._glued_starts, place) - 1
        return before >= 0 and place <= self._glued_ends[before]

    def _next_cut(self, start: int, end: int, budget: int, places: Sequence[int]) -> int:
        """The place to cut, so that pieces fit and come out about equally long; a piece without a place is too long."""
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
        """Offset before which `count` tokens lie, counted from `start`."""
        number = bisect_left(self._token_starts, start) + count
        return self._token_starts[number] if number < len(self._token_starts) else len(self._text)

    def _measured(self, pieces: Iterable[tuple[int, int]]) -> Iterator[Chunk]:
        """Chunks with their exact token counts; a piece that is too long after all is halved."""
        pieces = iter(pieces)
        while batch := list(islice(pieces, _BATCH)):
            paths = [self._headings.path(start) for start, _ in batch]
            for (start, end), path, count in zip(batch, paths, self._exact_counts(batch, paths), strict=True):
                if count <= self._max_tokens or end - start == 1:
                    yield Chunk(start, end, self._text[start:end], path, count)
                else:
                    yield from self._measured(self._halves(start, end))

    def _exact_counts(self, spans: Sequence[tuple[int, int]], paths: Sequence[tuple[str, ...]]) -> list[int]:
        """Tokens of what is embedded of each span: a sum where that is exact, else by the tokenizer."""
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
    """The headings above any offset, and what they cost in tokens. The innermost are kept where not all find room."""

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
    """As much of the beginning as `count` tokens hold, and how many it has."""
    text = text[: count * CHARACTERS_PER_TOKEN].strip()
    words = words_of(tokenizer)
    if words and (found := words.count(text)) <= count:
        return text, found
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
