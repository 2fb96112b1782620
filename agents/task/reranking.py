"""The fleet's model as reranker (LAKEHOP_RERANKER=llm): it reads numbered passages and names the most helpful.

It is asked within the task, so each call is held to the task's caps, recorded and priced. A call reads a window of
passages and names its best; windows go from the last passage to the first and overlap, so that the best climbs through
all of them. Passages are strangers' words: the most that an instruction in them can do is to reorder passages that the
caller may read anyway. The order stays as it was where the model gives none, or may not be asked.
"""

from collections.abc import Sequence
from typing import Annotated

import dspy
from dspy.utils.exceptions import ContextWindowExceededError

from agents.prompting.adapter import ShortAdapter
from agents.prompting.constraints import BestOf
from agents.task.actions import Action
from agents.task.budget import BudgetReached
from agents.task.context import TaskContext
from agents.task.purpose import ask_model
from agents.task.recorder import one_line
from lakehouse.errors import Unavailable
from lakehouse.index.embedding import embedded_text
from lakehouse.index.passages import Passage

RERANK = "rerank"  # name of the ordering in steps and records
WINDOW = 10
NAMED = 5  # of each window, and so the distance to the next window: no other passage climbs on
# No tokenizer makes more tokens than there are bytes: with these a prompt fits into 4,096 tokens in any script.
PASSAGE_BYTES = 320
QUERY_BYTES = 400


class RankPassages(dspy.Signature):
    """Give the numbers of the passages that help most to answer the question, the most helpful first."""

    passages: str = dspy.InputField(desc="a line each: number, title, and how the text begins")
    question: str = dspy.InputField()
    best: Annotated[str, BestOf("passages", NAMED)] = dspy.OutputField(desc="numbers, such as 3 1 2")


class NotReranked(Exception):
    """The order stays as it was; the text gives the reason and quotes no passage."""


async def rerank(context: TaskContext, query: str, passages: Sequence[Passage], hop: int) -> list[Passage]:
    """The passages in the model's order, or as they were. A step of its own shows the order, or why there is none.

    Raises BudgetReached where a program's time is up: it ends here anyway, and a durable task must end at the same
    step when it is resumed. A bare search (hop 0) still returns its passages.
    """
    action = Action("tool", RERANK, hop, query, passages=tuple(passages))
    refused: NotReranked | None = None
    try:
        action.passages = tuple(await _ordered(query, passages, hop))
    except NotReranked as error:
        refused = error
    except (BudgetReached, ContextWindowExceededError) as error:
        if hop:
            context.budget.seconds_left()
        refused = NotReranked(one_line(error))
    except Unavailable as error:
        if error.part != "vllm":  # a record that could not be written ends the task
            raise
        refused = NotReranked(one_line(error))

    async def work() -> None:
        if refused:
            raise refused

    return list((await context.act(action, work)).passages)


async def _ordered(query: str, passages: Sequence[Passage], hop: int) -> list[Passage]:
    """The passages, reordered with one call per window. Raises NotReranked, and any error of the model call."""
    rank, order = dspy.Predict(RankPassages, agent=RERANK), list(passages)
    question = _cut(query, QUERY_BYTES)
    # Its own adapter and no trace: an optimizer of a program must see the program's steps alone.
    with dspy.context(adapter=ShortAdapter(), trace=None):
        for start in window_starts(len(order)):
            window = order[start : start + WINDOW]
            prediction = await ask_model(rank, hop=hop, reading=window, passages=_listed(window), question=question)
            if not prediction.best:
                raise NotReranked("the model gave no numbers of passages")
            best = [int(number) - 1 for number in prediction.best.split()]
            places = [*best, *(place for place in range(len(window)) if place not in best)]
            order[start : start + WINDOW] = [window[place] for place in places]
    return order


def window_starts(count: int) -> list[int]:
    """First places of the windows over so many passages, in reading order: 10, 5 and 0 for 20."""
    return [*range(count - WINDOW, 0, -NAMED), 0] if count > 1 else []


def _listed(window: Sequence[Passage]) -> str:
    texts = (embedded_text(passage.title, [passage.heading], passage.text) for passage in window)
    lines = (" ".join(text.split()) for text in texts)
    return "\n".join(f"{number} {_cut(line, PASSAGE_BYTES)}" for number, line in enumerate(lines, start=1))


def _cut(text: str, max_bytes: int) -> str:
    return text.encode(errors="replace")[:max_bytes].decode(errors="ignore")
