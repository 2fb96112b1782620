"""The fleet's model as reranker (LAKEHOP_RERANKER=llm): shown numbered passages, it says which of them help most.

It is asked through the task, so each call is held to the task's caps, recorded and priced. A call is shown a window of
passages and names the best of it; windows go from the last passage to the first and overlap, so that what is best
climbs through all of them. Passages are strangers' words: all that one can bring about is another order of what the
asker may read anyway. Where the model gives no order, or may not be asked, the order stays as it was.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import dspy
from dspy.utils.exceptions import ContextWindowExceededError

from agents.prompting.adapter import ShortAdapter
from agents.prompting.constraints import BestOf
from agents.task.budget import BudgetReached
from agents.task.purpose import ask_model
from agents.task.recorder import Action, one_line
from lakehouse.errors import Unavailable
from lakehouse.index.embedding import embedded_text
from lakehouse.index.passages import Passage

if TYPE_CHECKING:
    from agents.task.task import Task

RERANK = "rerank"  # what the ordering is called in steps and records
WINDOW = 10
NAMED = 5  # of each window, and so how far the next one lies before it: no others climb on
# No tokenizer makes more tokens than there are bytes: with these a prompt fits into 4,096 tokens in any script.
PASSAGE_BYTES = 320
QUERY_BYTES = 400


class RankPassages(dspy.Signature):
    """Give the numbers of the passages that help most to answer the question, the most helpful first."""

    passages: str = dspy.InputField(desc="a line each: number, title, and how the text begins")
    question: str = dspy.InputField()
    best: Annotated[str, BestOf("passages", NAMED)] = dspy.OutputField(desc="numbers, such as 3 1 2")


class NotReranked(Exception):
    """The order is as it was found; the text says why and quotes no passage."""


async def rerank(task: "Task", query: str, found: Sequence[Passage], hop: int) -> list[Passage]:
    """What was found in the model's order, or as it was. A step of its own tells the order, or why there is none.

    Raises BudgetReached where a program's time is up: it ends here anyway, and a durable one must end at the same step
    when it is begun anew. A bare search (hop 0) still has what it found.
    """
    action = Action("tool", RERANK, hop, query, passages=tuple(found))
    refused: NotReranked | None = None
    try:
        action.passages = tuple(await _ordered(query, found, hop))
    except NotReranked as error:
        refused = error
    except (BudgetReached, ContextWindowExceededError) as error:
        if hop:
            task.budget.seconds_left()
        refused = NotReranked(one_line(error))
    except Unavailable as error:
        if error.part != "vllm":  # a record that could not be written ends the task
            raise
        refused = NotReranked(one_line(error))

    async def tell() -> None:
        if refused:
            raise refused

    return list((await task.recorder.act(action, tell)).passages)


async def _ordered(query: str, found: Sequence[Passage], hop: int) -> list[Passage]:
    """The passages, reordered; one call a window. Raises NotReranked, and what keeps a call from being made."""
    rank, order = dspy.Predict(RankPassages, agent=RERANK), list(found)
    # Its own adapter and no trace: who compiles a program looks at the program's steps alone.
    with dspy.context(adapter=ShortAdapter(), trace=None):
        for start in window_starts(len(order)):
            window = order[start : start + WINDOW]
            asked = _cut(query, QUERY_BYTES)
            said = await ask_model(rank, hop=hop, reading=window, passages=_listed(window), question=asked)
            if not said.best:
                raise NotReranked("the model gave no numbers of passages")
            best = [int(number) - 1 for number in said.best.split()]
            places = [*best, *(place for place in range(len(window)) if place not in best)]
            order[start : start + WINDOW] = [window[place] for place in places]
    return order


def window_starts(count: int) -> list[int]:
    """Where the windows over so many passages begin, in the order in which they are read: 10, 5 and 0 for 20."""
    return [*range(count - WINDOW, 0, -NAMED), 0] if count > 1 else []


def _listed(window: Sequence[Passage]) -> str:
    texts = (" ".join(embedded_text(one.title, [one.heading], one.text).split()) for one in window)
    return "\n".join(f"{number} {_cut(text, PASSAGE_BYTES)}" for number, text in enumerate(texts, start=1))


def _cut(text: str, max_bytes: int) -> str:
    return text.encode(errors="replace")[:max_bytes].decode(errors="ignore")
