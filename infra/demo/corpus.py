"""The demo's corpus and questions, from the metadata of the installed Python packages.

Real documents that need no download. Each distribution in the environment becomes one Markdown document: facts
from its metadata as plain sentences, then its README. The same metadata gives questions with gold answers, without
labelling by hand:

- two hops: the requirement of a package, then the licence of that requirement;
- three hops and a sum: the two requirements of a package, then the number of requirements of each;
- three hops and arithmetic: the numbers of requirements of two packages, one of them two documents away, multiplied,
  subtracted or added;
- none: two-hop questions on packages that are not installed, where the right answer is to decline.

    python -m infra.demo.corpus --out FOLDER
"""

import json
import random
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any, Literal, get_args

import click
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

_README_CHARS = 2_500  # enough to describe a package, and keeps the demo within minutes
_TRAIN_SHARE = 0.4  # share of the questions for `lakehop compile`; the others measure
_PAIRED_WITH = 3  # other packages for each package with a single requirement
_SEED = 20260101  # any constant; the same environment must give the same questions

Arithmetic = Literal["product", "difference", "total"]
"""The operation on two numbers."""
_WELL_KNOWN = """
    bokeh bottle celery cherrypy dash django falcon folium gensim keras kivy luigi nltk peewee polars pygame pyramid
    sanic scrapy spacy streamlit tensorflow tortoise-orm twisted xgboost
"""


@dataclass(frozen=True)
class Package:
    """An installed distribution. `requires`: canonical names of its requirements here, without extras."""

    name: str
    summary: str
    licence: str
    authors: str
    requires: tuple[str, ...]
    readme: str


@dataclass(frozen=True)
class DemoQuestion:
    """A generated question; `gold_ids`: ids of the documents that its answer needs, in reading order."""

    id: str
    question: str
    answer: str
    aliases: tuple[str, ...]
    gold_ids: tuple[str, ...]
    hops: int


def installed_packages() -> list[Package]:
    """Every distribution of this environment with a summary, by name; the first on the path wins, as on import."""
    packages: dict[str, Package] = {}
    for distribution in distributions():
        package = _read_package(distribution)
        if package and package.name not in packages:
            packages[package.name] = package
    return [packages[name] for name in sorted(packages)]


def document(package: Package) -> dict[str, Any]:
    """A row of the JSONL that `lakehop ingest` takes."""
    facts = [f"{package.name} is described as: {package.summary.rstrip('.')}."]
    if package.licence:
        facts.append(f"{package.name} is published under the {package.licence} licence.")
    facts.append(_requirements_sentence(package))
    if package.authors:
        facts.append(f"{package.name} is written by {package.authors}.")
    text = f"# {package.name}\n\n" + "\n".join(facts) + "\n"
    if package.readme:
        text += f"\n## Read me of {package.name}\n\n{package.readme}\n"
    return {
        "id": package.name,
        "title": package.name,
        "text": text,
        "uri": f"pkg:pypi/{package.name}",  # a package URL, as of ECMA-427
    }


def questions(packages: Iterable[Package]) -> list[DemoQuestion]:
    """Every question that the metadata answers unambiguously, in a fixed random order."""
    by_name = {package.name: package for package in packages}
    every = [question for package in by_name.values() for question in _questions_on(package, by_name)]
    random.Random(_SEED).shuffle(every)  # noqa: S311 - not for secrets
    return every


def arithmetic(packages: Iterable[Package], form: Arithmetic) -> list[DemoQuestion]:
    """Questions with arithmetic on two numbers above 1, one of them two documents away.

    The result differs from both numbers, so copying a number is never right.
    """
    by_name = {package.name: package for package in packages}
    several = [package for package in by_name.values() if len(package.requires) > 1]
    pairs = []
    for package in by_name.values():
        target = by_name.get(package.requires[0]) if len(package.requires) == 1 else None
        if target in several:
            others = (other for other in several if other is not target)
            # The next packages by name, so that small and large numbers are equally frequent.
            nearest = sorted(others, key=lambda other: (other.name < package.name, other.name))
            pairs += [(place, package, target, other) for place, other in enumerate(nearest[:_PAIRED_WITH])]
    pairs.sort(key=lambda pair: pair[0])  # every package's first pair comes before any second pair
    candidates = (_arithmetic_question(form, package, target, other) for _, package, target, other in pairs)
    return [question for question in candidates if question]


def unanswerable(packages: Iterable[Package]) -> list[dict[str, Any]]:
    """Questions on well-known packages that are not installed."""
    installed = {package.name for package in packages}
    text = "Under which licence is the only package that {} requires published?"
    return [
        {"id": f"none-{name}", "question": text.format(name), "answerable": False}
        for name in _WELL_KNOWN.split()
        if name not in installed
    ]


def write_demo(folder: Path) -> dict[str, int]:
    """Write corpus.jsonl and the questions files; return the number of rows of each.

    Train and test questions share no first document, so a compiled program has seen no test question's chain.
    """
    packages = installed_packages()
    every_question = questions(packages)
    openers = sorted({question.gold_ids[0] for question in every_question})
    random.Random(_SEED).shuffle(openers)  # noqa: S311 - not for secrets
    train = set(openers[: round(len(openers) * _TRAIN_SHARE)])
    files: dict[str, list[dict[str, Any]]] = {
        "corpus": [document(package) for package in packages],
        "questions_train": [vars(question) for question in every_question if question.gold_ids[0] in train],
        "questions_test": [vars(question) for question in every_question if question.gold_ids[0] not in train],
        **{
            f"questions_{form}": [vars(question) for question in arithmetic(packages, form)]
            for form in get_args(Arithmetic)
        },
        "questions_none": unanswerable(packages),
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in files.items():
        lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        (folder / f"{name}.jsonl").write_text("".join(lines), encoding="utf-8")
    return {name: len(rows) for name, rows in files.items()}


def _read_package(distribution: Distribution) -> Package | None:
    metadata: Any = distribution.metadata  # its Protocol type hides that it is an email.message.Message
    name, summary = metadata.get("Name"), metadata.get("Summary")
    if not name or not summary:
        return None
    return Package(
        name=canonicalize_name(name),
        summary=" ".join(summary.split()),
        licence=_licence(metadata),
        authors=_authors(metadata),
        requires=tuple(_requires(distribution)),
        readme=(metadata.get("Description") or metadata.get_payload() or "")[:_README_CHARS].strip(),
    )


def _licence(metadata: Any) -> str:
    """The licence's name: the SPDX expression, else the classifier, else a short `License` field, else nothing."""
    classifiers = [c for c in metadata.get_all("Classifier", []) if c.startswith("License :: OSI Approved :: ")]
    if expression := metadata.get("License-Expression"):
        name = expression
    elif len(classifiers) == 1:
        name = classifiers[0].rsplit(" :: ", 1)[1]
    else:
        name = metadata.get("License") or ""
    name = " ".join(name.split())
    is_a_name = 0 < len(name) <= 40 and name.upper() != "UNKNOWN"
    return re.sub(r"\s+(software )?licen[cs]e$", "", name, flags=re.IGNORECASE) if is_a_name else ""


def _authors(metadata: Any) -> str:
    author = metadata.get("Author") or metadata.get("Author-email") or ""
    without_addresses = re.sub(r"\s*<[^>]*>", "", author)
    return " ".join(without_addresses.replace('"', "").split())[:120].strip(" ,")


def _requires(distribution: Distribution) -> Iterator[str]:
    seen = set()
    for line in distribution.requires or []:
        try:
            requirement = Requirement(line)
        except InvalidRequirement:
            continue
        name = canonicalize_name(requirement.name)
        is_needed = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        if is_needed and name not in seen:
            seen.add(name)
            yield name


def _requirements_sentence(package: Package) -> str:
    count = len(package.requires)
    if not count:
        return f"{package.name} requires 0 packages."
    return f"{package.name} requires {count} package{'s' * (count > 1)}: {', '.join(package.requires)}."


def _questions_on(package: Package, by_name: dict[str, Package]) -> Iterator[DemoQuestion]:
    required = [by_name[name] for name in package.requires if name in by_name]
    if len(required) != len(package.requires):
        return  # no document describes the missing requirement
    if len(required) == 1 and _tells_apart(package, required[0]):
        yield _licence_question(
            "sole",
            package,
            required[0],
            f"Under which licence is the only package that {package.name} requires published?",
        )
    if len(required) > 1:
        for target in required:
            topic = _topic(target)
            if topic and _tells_apart(package, target):
                text = (
                    f"Among the packages that {package.name} requires, one is described as: {topic}. "
                    "Under which licence is it published?"
                )
                yield _licence_question(f"topic-{target.name}", package, target, text)
                break  # one question a package, else large packages dominate the set
    if len(required) == 2:
        total = sum(len(target.requires) for target in required)
        if not total:
            return  # nothing to add up
        yield DemoQuestion(
            id=f"sum-{package.name}",
            question=f"How many packages do the two packages that {package.name} requires require in total?",
            answer=str(total),
            aliases=(),
            gold_ids=(package.name, *(target.name for target in required)),
            hops=3,
        )


def _licence_question(kind: str, package: Package, target: Package, text: str) -> DemoQuestion:
    return DemoQuestion(
        id=f"{kind}-{package.name}",
        question=text,
        answer=target.licence,
        aliases=(f"{target.licence} licence", f"{target.licence} license"),
        gold_ids=(package.name, target.name),
        hops=2,
    )


def _arithmetic_question(form: Arithmetic, package: Package, target: Package, other: Package) -> DemoQuestion | None:
    """None if the answer is 0 or equals one of the two numbers."""
    only, near, far = f"the only package that {package.name} requires", len(other.requires), len(target.requires)
    text, answer = {
        "product": (
            f"What is the number of packages that {other.name} requires, multiplied by the number of packages that "
            f"{only} requires?",
            near * far,
        ),
        "difference": (
            f"How many {'more' if near > far else 'fewer'} packages does {other.name} require than {only} requires?",
            abs(near - far),
        ),
        "total": (f"How many packages do {other.name} and {only} require together?", near + far),
    }[form]
    if not answer or answer in (near, far):
        return None
    return DemoQuestion(
        id=f"{form}-{package.name}-{other.name}",
        question=text,
        answer=str(answer),
        aliases=(),
        gold_ids=(package.name, target.name, other.name),
        hops=3,
    )


def _tells_apart(package: Package, target: Package) -> bool:
    """Whether the two packages have different licences, so that the first document's licence is a wrong answer."""
    return bool(target.licence) and target.licence != package.licence


def _topic(package: Package) -> str:
    """A package's summary; empty if it is long or contains the package's name."""
    topic = package.summary.rstrip(".")
    words = re.findall(r"[a-z0-9]+", topic.lower())
    contains_name = any(part in words for part in package.name.split("-") if len(part) > 2)
    return topic if 2 <= len(words) <= 12 and not contains_name else ""


@click.command(help=__doc__)
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), required=True, help="Folder to write to.")
def main(out: Path) -> None:
    click.echo(json.dumps(write_demo(out)))


if __name__ == "__main__":
    main()
