"""`single_shot`: one search, one model call."""

import dspy

from agents.prompting.constraints import NONE
from agents.reading.answerability import check_about
from agents.reading.reading_order import cite
from agents.reading.signatures import AnswerFromPassages, NothingFound, mark, shown
from agents.task.task import current_task

SINGLE_SHOT_PASSAGES = 5


class SingleShot(dspy.Module):
    """One search, one call: the measure for everything that does more."""

    def __init__(self) -> None:
        super().__init__()
        self.answer = dspy.Predict(AnswerFromPassages, agent="answer")

    async def aforward(self, question: str) -> dspy.Prediction:
        task = current_task()
        remembered = await task.recall(question)
        passages = await task.search(question, hop=1, k=SINGLE_SHOT_PASSAGES)
        texts = [text for text in (remembered, *map(shown, passages)) if text]
        if not texts:
            raise NothingFound
        if not remembered:
            await check_about(task, question, passages)
        said = await self.answer.acall(passages="\n\n".join(texts), question=question, config=mark(1, *passages))
        if said.answer == NONE:
            raise NothingFound
        await task.propose(said.answer, cite(question, (said.answer, passages)))
        return dspy.Prediction(answer=said.answer)
