"""How often the judge of `lakehop eval --judge` is right, on answers with known labels.

    python -m tests.benchmarks.judging

20 questions about the installed packages with their right answer and the sentence that states it, and 20 corrupted
ones: half have another package's answer, half another package's answer and evidence. The model at LAKEHOP_LLM_BASE_URL
is asked, two questions at a time. A judge that always gives the same judgement is right in half of them.
"""

import asyncio
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal

from agents.answer import Answer
from agents.runtime import Agents, Dependencies
from agents.task.budget import Limits
from infra.clients.gateway import CONCURRENCY
from infra.demo.corpus import Package, installed_packages
from lakehouse.access.permissions import Caller
from lakehouse.costs.call_records import Spool
from lakehouse.costs.prices import Prices
from lakehouse.retrieval.retriever import Retriever
from lakehouse.settings import load_settings
from lakehouse.text.scoring import supported

SEED = 7
CASES = 20
CALLER = Caller("demo", ("staff",), app="benchmark", key_id="operator")
LIMITS = Limits(max_usd=Decimal(1), max_seconds=300)


@dataclass(frozen=True)
class Case:
    """An answer with its evidence. `kind`: how it is corrupted, if at all; `topic`: only like answers are exchanged."""

    kind: str
    topic: str
    question: str
    answer: str
    evidence: str


def cases() -> list[Case]:
    """As many right cases as corrupted ones, each of another package."""
    chance = random.Random(SEED)  # noqa: S311  an order, not a secret
    packages = installed_packages()
    chance.shuffle(packages)
    facts = [chance.choice(cases) for package in packages if (cases := list(_cases_of(package)))]
    right, rest, others = facts[:CASES], facts[CASES : 2 * CASES], facts[2 * CASES :]
    wrong = []
    for number, case in enumerate(rest):
        other = next(other for other in others if other.topic == case.topic and other.answer != case.answer)
        changes = {"kind": "other evidence", "evidence": other.evidence} if number % 2 else {"kind": "other answer"}
        wrong.append(replace(case, answer=other.answer, **changes))
    return [*right, *wrong]


def _cases_of(package: Package) -> Iterator[Case]:
    name = package.name

    def case(topic: str, question: str, answer: str, sentence: str) -> Case:
        return Case("as it is", topic, question, answer, f"{name}: {sentence}")

    if package.licence:
        sentence = f"{name} is published under the {package.licence} licence."
        yield case("licence", f"Under which licence is {name} published?", package.licence, sentence)
    if package.authors:
        yield case("author", f"Who wrote {name}?", package.authors, f"{name} is written by {package.authors}.")
    if len(package.requires) > 1:
        count = str(len(package.requires))
        sentence = f"{name} requires {count} packages: {', '.join(package.requires)}."
        yield case("count", f"How many packages does {name} require?", count, sentence)


async def main() -> None:
    """Print how often the judge said yes, by kind, and how often it and the check by text were right."""
    settings = load_settings()
    retriever, prices = Retriever(settings), Prices.from_file(settings.prices_file)
    agents = Agents(Dependencies(settings, retriever, Spool(settings.spool_dir), prices))
    turn = asyncio.Semaphore(CONCURRENCY)

    async def judge(case: Case) -> Answer:
        async with turn:
            return await agents.judge(
                case.question, case.answer, [case.evidence], CALLER, limits=LIMITS, on_event=lambda event: None
            )

    all_cases = cases()
    judgements = await asyncio.gather(*map(judge, all_cases))
    await agents.aclose()
    by_judge = [judgement.answer if judgement.status == "answered" else "neither" for judgement in judgements]
    by_text = ["yes" if supported(case.answer, [case.evidence]) else "no" for case in all_cases]
    judges = {"judge": by_judge, "text": by_text}
    for kind in dict.fromkeys(case.kind for case in all_cases):
        places = [place for place, case in enumerate(all_cases) if case.kind == kind]
        counts = {name: sum(verdicts[place] == "yes" for place in places) for name, verdicts in judges.items()}
        print(f"{kind} ({len(places)}): " + ", ".join(f"{name} yes {count}" for name, count in counts.items()))
    right_verdicts = ["yes" if case.kind == "as it is" else "no" for case in all_cases]
    for name, verdicts in judges.items():
        right = sum(verdict == label for verdict, label in zip(verdicts, right_verdicts, strict=True))
        print(f"{name}: right in {right} of {len(all_cases)}, said neither in {verdicts.count('neither')}")
    agreed = sum(judge == text for judge, text in zip(by_judge, by_text, strict=True))
    usd = sum((judgement.usage.usd for judgement in judgements), Decimal(0))
    print(
        f"they agree in {agreed} of {len(all_cases)}; ${usd / len(all_cases):.7f} a judgement by {settings.llm_model}"
    )


if __name__ == "__main__":
    asyncio.run(main())
