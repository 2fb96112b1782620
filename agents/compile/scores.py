"""What a program is worth to an optimizer: its right answers, less what they cost."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import dspy
from dspy.teleprompt.gepa.gepa_utils import ScoreWithFeedback

from lakehouse.costs.call_records import MONEY_PLACES
from lakehouse.text import scoring


@dataclass(frozen=True)
class Score:
    """Right answers of a program to a set of questions, and the money that all its answers cost."""

    asked: int
    right: int
    usd: Decimal

    @property
    def share(self) -> float:
        """Share of right answers, 0 to 1."""
        return self.right / self.asked

    @property
    def usd_per_success(self) -> Decimal | None:
        """US dollars per right answer; None without any."""
        return round(self.usd / self.right, MONEY_PLACES) if self.right else None

    def is_no_worse_than(self, other: "Score") -> bool:
        """Whether success is not lower and a success costs no more. Both must be of the same questions."""
        if self.right < other.right:
            return False
        if not self.right:
            return self.usd <= other.usd
        return self.usd * other.right <= other.usd * self.right

    def __str__(self) -> str:
        cost = f"${self.usd_per_success:.8f} a success" if self.right else "none of them"
        return f"{self.share:.3f} of {self.asked} test questions right at {cost}"


@dataclass(frozen=True)
class Worth:
    """The metric that optimizers maximise: 1 for a right answer, less its cost measured in successes.

    The price of a success is what the current program pays. A program whose sum is above 0 has more successes per
    dollar than the current one, and maximising the sum leads to the best ratio (Dinkelbach 1967,
    doi:10.1287/mnsc.13.7.492).
    """

    successes_per_usd: float

    @classmethod
    def beside(cls, before: Score) -> "Worth":
        """At the current program's rate. Where it has no success or costs nothing, success alone counts."""
        return cls(float(before.right / before.usd) if before.usd else 0.0)

    def __call__(self, example: dspy.Example, prediction: dspy.Prediction, trace: Any = None) -> float:
        """DSPy gives a trace when it selects demonstrations; their answers must match exactly, as they are copied."""
        if trace is not None:
            return float(scoring.exact_match(prediction.answer, example.answers))
        return scoring.success(prediction.answer, example.answers) - self.successes_per_usd * float(prediction.usd)

    def with_feedback(
        self,
        gold: dspy.Example,
        pred: dspy.Prediction,
        trace: Any = None,
        pred_name: Any = None,
        pred_trace: Any = None,
    ) -> ScoreWithFeedback:
        """The same score for GEPA, with words that the model reads before it rewrites an instruction."""
        is_right = scoring.success(pred.answer, gold.answers)
        verdict = "Right" if is_right else f"Wrong: the right answer is {gold.answers[0]!r}"
        cost = f"It cost ${pred.usd:.8f}; a shorter instruction costs less."
        return ScoreWithFeedback(
            score=self(gold, pred), feedback=f"{verdict}. The program said {pred.answer!r}. {cost}"
        )
