"""`single_shot`: one search, one model call."""

import dspy

from agents.prompting.constraints import NONE
from agents.reading.answerability import NothingFound, check_answerability
from agents.reading.citations import cite
from agents.reading.signatures import AnswerFromPassages, answer_from, excerpt
from agents.task.task import current_task

SINGLE_SHOT_PASSAGES = 5


class SingleShot(dspy.Module):
    """One search, one call: the baseline of every other program."""

    def __init__(self) -> None:
        super().__init__()
        self.answer = dspy.Predict(AnswerFromPassages, agent="answer")

    async def aforward(self, question: str) -> dspy.Prediction:
        task = current_task()
        remembered = await task.remembered(question)
        passages = await task.search(question, hop=1, k=SINGLE_SHOT_PASSAGES)
        texts = [text for text in (remembered, *map(excerpt, passages)) if text]
        if not texts:
            raise NothingFound
        if not remembered:
            await check_answerability(task, question, passages)
        answer = await answer_from(self.answer, "\n\n".join(texts), question, passages=passages, hop=1)
        if answer == NONE:
            raise NothingFound
        await task.propose(answer, cite(question, (answer, passages)))
        return dspy.Prediction(answer=answer)
