"""How well the judge of `lakehop eval --judge` judges, on answers of which it is known whether their evidence says so.

    python -m tests.benchmarks.judging

20 questions on the packages that are installed here, with the sentence that answers each, and 20 that are corrupted: of
half of these the answer is another package's, of half the evidence is. It asks the model at LAKEHOP_LLM_BASE_URL, two
at a time. A judge that always says the same is right in half of them.
"""

import asyncio
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal

from agents.answer import Answer
from agents.runtime import Agents, Dependencies
from agents.task.budget import Limits
from infra.clients.gateway import AT_ONCE
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
    """An answer with its evidence, and what was done to it."""

    kind: str
    about: str  # what the question asks for: only the like is exchanged
    question: str
    answer: str
    evidence: str


def cases() -> list[Case]:
    """As many that are as they should be as corrupted ones, of packages that all differ."""
    chance = random.Random(SEED)  # noqa: S311  an order, not a secret
    packages = installed_packages()
    chance.shuffle(packages)
    facts = [chance.choice(told) for package in packages if (told := list(_facts(package)))]
    right, rest, others = facts[:CASES], facts[CASES : 2 * CASES], facts[2 * CASES :]
    wrong = []
    for number, case in enumerate(rest):
        other = next(one for one in others if one.about == case.about and one.answer != case.answer)
        changes = {"kind": "other evidence", "evidence": other.evidence} if number % 2 else {"kind": "other answer"}
        wrong.append(replace(case, answer=other.answer, **changes))
    return [*right, *wrong]


def _facts(package: Package) -> Iterator[Case]:
    name = package.name

    def case(about: str, question: str, answer: str, sentence: str) -> Case:
        return Case("as it is", about, question, answer, f"{name}: {sentence}")

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
    """Print how often it said yes, by kind, and how often it and the check by text were right."""
    settings = load_settings()
    retriever, prices = Retriever(settings), Prices.from_file(settings.prices_file)
    agents = Agents(Dependencies(settings, retriever, Spool(settings.spool_dir), prices))
    turn = asyncio.Semaphore(AT_ONCE)

    async def judge(case: Case) -> Answer:
        async with turn:
            return await agents.judge(
                case.question, case.answer, [case.evidence], CALLER, limits=LIMITS, on_event=lambda event: None
            )

    known = cases()
    said = await asyncio.gather(*map(judge, known))
    await agents.aclose()
    by_judge = [one.answer if one.status == "answered" else "neither" for one in said]
    by_text = ["yes" if supported(one.answer, [one.evidence]) else "no" for one in known]
    for kind in dict.fromkeys(one.kind for one in known):
        mine = [place for place, one in enumerate(known) if one.kind == kind]
        counts = {who: [told[place] for place in mine] for who, told in (("judge", by_judge), ("text", by_text))}
        print(f"{kind} ({len(mine)}): " + ", ".join(f"{who} yes {told.count('yes')}" for who, told in counts.items()))
    for who, told in (("judge", by_judge), ("text", by_text)):
        right = sum(
            word == ("yes" if case.kind == "as it is" else "no") for word, case in zip(told, known, strict=True)
        )
        print(f"{who}: right in {right} of {len(known)}, said neither in {told.count('neither')}")
    agreed = sum(one == other for one, other in zip(by_judge, by_text, strict=True))
    usd = sum((one.usage.usd for one in said), Decimal(0))
    print(f"they agree in {agreed} of {len(known)}; ${usd / len(known):.7f} a judgement by {settings.llm_model}")


if __name__ == "__main__":
    asyncio.run(main())
