"""Citations of an answer, and the claims that no citation carries: one place for all programs."""

import re
from collections.abc import Sequence

from agents.answer import Citation, Step
from agents.prompting.constraints import NO, NUMBER, YES
from lakehouse.index.passages import Passage
from lakehouse.text.mentions import is_mentioned, quote_of
from lakehouse.text.names import without_parenthesis
from lakehouse.text.scoring import supported
from lakehouse.text.sentences import closest_sentence, sentences

CALCULATING_TOOLS = ("calculate", "python")
_HEADING = re.compile(r"^#+ .*$", re.MULTILINE)
NEAREST = 3  # documents that a refusal names


def cite(question: str, *facts: tuple[str, Sequence[Passage]]) -> list[Citation]:
    """Quote each fact from the first of its passages that holds it, in the passage's own words.

    A fact that no passage holds whole is quoted sentence by sentence. A yes, a no and a name from the question stand in
    no passage as an answer: for these the passages' sentences closest to the question are quoted.
    """
    citations = []
    for fact, passages in facts:
        if fact in (YES, NO) or is_mentioned(fact, question):
            citations += _grounds(question, passages)
        if fact not in (YES, NO):
            whole = _quote(fact, passages)
            citations += whole or [quote for sentence in sentences(fact) for quote in _quote(sentence, passages)]
    return list(dict.fromkeys(citations))


def uncited(answer: str, citations: Sequence[Citation], steps: Sequence[Step]) -> list[str]:
    """The answer's sentences that no citation carries: no quote holds them, they name no cited document, and no tool
    calculated them from quotes."""
    titles = {passage.chunk_id: passage.title for step in steps for passage in step.passages}
    carrying = [citation.quote for citation in citations]
    carrying += [titles.get(citation.chunk_id, "") for citation in citations]
    for step in _calculations(steps):  # in their order: a calculation may use an earlier one's result
        calculation = (step.query or "", step.output or "")
        if NUMBER.search(calculation[0]) and supported(calculation[1], carrying, [calculation]):
            carrying.append(calculation[1])
    if supported(answer, carrying):
        return []
    claims = sentences(answer)
    missing = [claim.strip() for claim in claims if not supported(claim, carrying)]
    return missing if len(missing) < len(claims) else [answer]


def nearest(question: str, found: Sequence[Passage]) -> list[Citation]:
    """The sentence closest to the question in each of the first documents that were found."""
    documents = {passage.doc_id: passage for passage in reversed(found)}
    first = [passage for passage in found if documents[passage.doc_id] is passage][:NEAREST]
    quotes = ((passage, closest_sentence(_HEADING.sub("", passage.text), question)) for passage in first)
    return [Citation.of(passage, quote) for passage, quote in quotes if quote]


def numbers_behind(answer: str, steps: Sequence[Step]) -> list[str]:
    """The numbers from which a tool calculated the answer; none where no tool did."""
    calculations = [step for step in _calculations(steps) if step.output == answer]
    return list(dict.fromkeys(number for step in calculations for number in NUMBER.findall(step.query or "")))


def _calculations(steps: Sequence[Step]) -> list[Step]:
    return [step for step in steps if step.kind == "tool" and step.agent in CALCULATING_TOOLS and step.output]


def _grounds(question: str, passages: Sequence[Passage]) -> list[Citation]:
    """The sentence closest to the question in each passage whose title the question names, else in the first."""
    named = [passage for passage in passages if is_mentioned(without_parenthesis(passage.title), question)]
    quotes = ((passage, closest_sentence(passage.text, question)) for passage in named or passages[:1])
    return [Citation.of(passage, quote) for passage, quote in quotes if quote]


def _quote(fact: str, passages: Sequence[Passage]) -> list[Citation]:
    """The first passage that holds the fact, as a list of one citation; empty without any."""
    quotes = ((passage, quote_of(fact, passage.text)) for passage in passages)
    return [Citation.of(passage, quote) for passage, quote in quotes if quote][:1]
