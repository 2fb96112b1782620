"""Which claims of an answer no citation carries: one place for all programs, so that none of them can hide one."""

from collections.abc import Sequence

from agents.answer import Citation, Step
from agents.prompting.constraints import NUMBER
from lakehouse.text.scoring import supported
from lakehouse.text.terms import sentences

WORK_OUT = ("calculate", "python")


def uncited(answer: str, citations: Sequence[Citation], steps: Sequence[Step]) -> list[str]:
    """The sentences of an answer that stand in no quote, name no cited document and were worked out from neither."""
    titles = {passage.chunk_id: passage.title for step in steps for passage in step.passages}
    carrying = [one.quote for one in citations] + [titles.get(one.chunk_id, "") for one in citations]
    for step in _sums(steps):  # in their order, for one may go on with what another gave
        worked_out = (step.query or "", step.output or "")
        if NUMBER.search(worked_out[0]) and supported(worked_out[1], carrying, [worked_out]):
            carrying.append(worked_out[1])
    if supported(answer, carrying):
        return []
    claims = sentences(answer)
    missing = [claim.strip() for claim in claims if not supported(claim, carrying)]
    return missing if len(missing) < len(claims) else [answer]


def numbers_behind(answer: str, steps: Sequence[Step]) -> list[str]:
    """The numbers that an answer was worked out from; none where it was not."""
    sums = [step for step in _sums(steps) if step.output == answer]
    return list(dict.fromkeys(number for step in sums for number in NUMBER.findall(step.query or "")))


def _sums(steps: Sequence[Step]) -> list[Step]:
    return [step for step in steps if step.kind == "tool" and step.agent in WORK_OUT and step.output]
