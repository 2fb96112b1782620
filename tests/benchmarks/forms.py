"""How often the form of an answer is told rightly from the question's words.

    python -m tests.benchmarks.forms POOL POOL

A pool is a folder with `questions.jsonl`: its questions ask for facts, so each must be told as a fact, a yes or no, or
a number; how a fact is read is tuned and must not change. `form_questions.jsonl` holds questions as people type them
with their forms; half of them (`built`) were looked at while the patterns were written, the others were not.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from agents.question.forms import form_of
from tests.benchmarks.pool_index import read_lines

QUESTIONS = Path(__file__).with_name("form_questions.jsonl")
FACTUAL = ("fact", "yes_no", "number")


def accuracy(built: bool) -> tuple[int, list[str]]:
    """How many labelled questions of one half there are, and a line for each that is told wrongly."""
    rows = [row for row in read_lines(QUESTIONS) if row["built"] is built]
    told = [(row["form"], form_of(row["question"]), row["question"]) for row in rows]
    return len(rows), [f"  {form} told as {other}: {question}" for form, other, question in told if form != other]


def main(pools: Sequence[Path]) -> None:
    for pool in pools:
        texts = [row["question"] for row in read_lines(pool / "questions.jsonl")]
        others = [f"  {form_of(text)}: {text}" for text in texts if form_of(text) not in FACTUAL]
        print(f"{pool.name}: {1 - len(others) / len(texts):.1%} of {len(texts)} as a fact, a yes or no, or a number")
        print("\n".join(others))
    for built in (True, False):
        count, wrong = accuracy(built)
        print(f"{'looked at' if built else 'not looked at'}: {1 - len(wrong) / count:.1%} of {count}")
        print("\n".join(wrong))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pools", nargs="*", type=Path)
    main(parser.parse_args().pools)
