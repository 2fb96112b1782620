"""Pairs of passages: the second is found by what the first leaves open, and bad input harms nobody."""

import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lakehouse.errors import InvalidInput
from lakehouse.index.frequencies import Frequencies
from lakehouse.retrieval.multihop.candidates import KEPT, MAX_NAMES, STARTS, choose_candidates, names_to_find
from lakehouse.retrieval.multihop.features import OWN, PAIR, CandidateFeatures
from lakehouse.retrieval.multihop.ranking import SHIPPED, Ranked, Weights, rank, score, shipped_weights
from lakehouse.retrieval.multihop.texts import CandidatePassage
from lakehouse.retrieval.multihop.training import Example, calibration_error, learn
from lakehouse.text.hyperlinks import Place
from lakehouse.text.name_keys import counted_keys
from lakehouse.text.names import Names

DIMENSION = 8


def unit(seed: int) -> np.ndarray:
    vector = np.random.default_rng(seed).normal(size=DIMENSION).astype(np.float32)
    return vector / np.linalg.norm(vector)


def candidate(chunk_id: str, title: str, text: str) -> CandidatePassage:
    return CandidatePassage(chunk_id, title, text, unit(len(text)), Names.of(title, "", text))


def ranked(candidates: list[CandidatePassage], k: int, question: str = "") -> list[Ranked]:
    return rank(question or QUESTION, unit(1), candidates, shipped_weights(), k=k, frequencies=COUNTS)


QUESTION = "In which town was the architect of Harrow Bridge born?"
BRIDGE = candidate("bridge", "Harrow Bridge", "Harrow Bridge was designed by the architect Ida Kestrel.")
ARCHITECT = candidate("kestrel", "Ida Kestrel", "Ida Kestrel was born in the town of Marl.")
OTHERS = [
    candidate(f"other{number}", f"Person {number}", f"Person {number} was born in the town of Place{number}.")
    for number in range(6)
]

COUNTS = Frequencies.of(
    1_000, Counter(key for one in (BRIDGE, ARCHITECT, *OTHERS) for key in counted_keys(one.title, "", one.text))
)


def test_what_the_first_passage_names_and_leaves_open_comes_before_what_is_only_alike() -> None:
    found = ranked([BRIDGE, *OTHERS, ARCHITECT], 3)
    assert {found[0].chunk_id, found[1].chunk_id} == {"bridge", "kestrel"}


def test_a_result_tells_the_path_that_led_to_it() -> None:
    found = {one.chunk_id: one for one in ranked([BRIDGE, *OTHERS, ARCHITECT], 8)}
    (step,) = found["kestrel"].path
    assert (step.chunk_id, step.title, step.how, step.via) == ("bridge", "Harrow Bridge", "names", "ida kestrel")
    assert set(found["kestrel"].covers) == {"town", "born"}
    assert all(0 <= one.probability <= 1 for one in found.values())
    assert found["kestrel"].probability > found["other0"].probability


def test_features_are_zero_for_a_passage_with_itself() -> None:
    pair = CandidateFeatures(QUESTION, unit(1), [BRIDGE, ARCHITECT], 2, COUNTS).pair()
    assert pair.shape == (2, 2, len(PAIR))
    assert not pair[0, 0].any()
    assert not pair[1, 1].any()
    assert pair[0, 1, list(PAIR).index("link")] > 0.5
    assert pair[1, 0, list(PAIR).index("back")] > 0.5


def test_a_name_that_one_passage_alone_speaks_of_changes_nothing_and_costs_nothing() -> None:
    first, *rest = OTHERS
    talkative = replace(first, names=replace(first.names, say=first.names.say | {"nobody else": 1.0}))
    plain, more = (
        CandidateFeatures(QUESTION, unit(1), [one, BRIDGE, ARCHITECT, *rest], 4, COUNTS) for one in (first, talkative)
    )
    assert more.names == plain.names
    assert "ida kestrel" in more.names
    np.testing.assert_array_equal(more.own(), plain.own())
    np.testing.assert_array_equal(more.pair(), plain.pair())


@pytest.mark.parametrize("question", ["", "   ", "?!", "the of a", "中国的首都在哪里", "من هو", "word " * 5_000])
def test_any_question_is_answered_in_order(question: str) -> None:
    found = ranked([BRIDGE, ARCHITECT, *OTHERS], 20, question)
    assert len(found) == 8
    assert all(np.isfinite(one.score) for one in found)
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)


@pytest.mark.parametrize("title", ["", "the", "1984", "x", "A" * 2_000, "東京", "القاهرة"])
@pytest.mark.parametrize("text", ["", ". . .", "no capitals", "中文。日本語。", "x" * 100_000])
def test_any_title_and_text_can_be_ranked(title: str, text: str) -> None:
    names = Names.of(title, title, text)
    odd = [CandidatePassage(str(number), title, text, unit(number), names, title) for number in range(3)]
    assert len(ranked([*odd, ARCHITECT], 4)) == 4


def test_a_question_about_an_identifier_finds_the_passage_that_says_it_in_words() -> None:
    pump = candidate("pump", "Pumps", "The max strokes of a pump are set by hand.")
    (first, *_) = ranked([*OTHERS, pump], 1, "What sets pumpHouse.maxStrokes?")
    assert first.chunk_id == "pump"
    assert {"max", "strokes"} <= set(first.covers)


def test_a_link_leads_to_the_chunk_below_the_heading_that_it_names() -> None:
    text = "Strokes are counted by the [other](/guide/valves/#cold-start) part."
    pump = CandidatePassage("p", "Pumps", text, unit(1), Names.of("Pumps", "", text, Place("s", "pumps.md", "")))
    below, place = "## Cold start\n\nTurn it twice.", Place("s", "docs/guide/valves.md", "")
    valve = CandidatePassage("v", "Valves", below, unit(2), Names.of("Valves", "", below, place))
    evidence = CandidateFeatures("How is the strokes counter started?", unit(1), [pump, valve], 2, COUNTS)
    assert evidence.connection(0, 1) == ("links_to", "guide/valves#cold-start")


def test_no_candidate_and_one_candidate() -> None:
    assert ranked([], 5) == []
    (alone,) = ranked([BRIDGE], 5)
    assert alone.path == ()


def test_names_that_the_question_says_are_looked_for_less_than_those_that_it_leaves_open() -> None:
    wanted = names_to_find(QUESTION, [BRIDGE], np.ones(1), COUNTS)
    assert wanted["own:ida kestrel"] > 2 * wanted["say:harrow bridge"]
    assert "own:harrow bridge" not in wanted  # that is the seed itself


def test_a_name_of_every_chunk_leads_nowhere() -> None:
    hub = Frequencies.of(10_000, {"say:ida kestrel": 10_000, "own:ida kestrel": 10_000})
    assert not any("kestrel" in name for name in names_to_find(QUESTION, [BRIDGE], np.ones(1), hub))


def test_a_page_with_a_hundred_thousand_links_to_it_leads_nowhere() -> None:
    text = "Valves are turned by hand. [home](home.md) [pumps](pumps.md)"
    page = CandidatePassage("p", "Valves", text, unit(1), Names.of("Valves", "", text, Place("s", "valves.md", "")))
    counts = Frequencies.of(
        200_000, {"say:path:s:home": 100_000, "say:id:s:home.md": 100_000, "say:tail:s:home": 100_000}
    )
    wanted = names_to_find("How are valves turned?", [page], np.ones(1), counts)
    assert "own:path:s:pumps" in wanted
    assert "say:path:s:valves" in wanted  # who links to this page
    assert wanted.keys().isdisjoint({"own:path:s:home", "own:id:s:home.md", "own:tail:s:home"})


def test_ten_thousand_documents_of_one_title_are_nobodys_name() -> None:
    same = [candidate(f"same{n}", "Report", f"The Report of Ida Kestrel, chapter {n}.") for n in range(KEPT)]
    counts = Frequencies.of(10_000, {"own:report": 10_000, "say:report": 10_000, "say:ida kestrel": 10_000})
    assert names_to_find("What does the Report say?", same[:STARTS], np.ones(STARTS), counts).keys() & {
        "own:report", "say:report"
    } == set()  # fmt: skip
    found = rank("What does the Report say?", unit(1), same, shipped_weights(), k=5, frequencies=counts)
    assert len(found) == 5
    assert all(np.isfinite(one.score) for one in found)


def test_odd_questions_and_passages_take_no_more_than_five_times_the_usual() -> None:
    usual = [candidate(str(n), f"Person {n}", f"Person {n} met Ida Kestrel in Marl{n}. " * 5) for n in range(KEPT)]
    long = [candidate(str(n), "A" * 2_000, f"Person {n} met Ida Kestrel. " * 1_000) for n in range(KEPT)]
    mixed = [
        candidate(str(n), "北京", f"北京是中国的首都。القاهرة عاصمة مصر. Person {n} met Ida Kestrel. " * 5)
        for n in range(KEPT)
    ]
    questions = [QUESTION, "", "the of a", "中国的首都在哪里 من هو", f"{QUESTION} " * 300, "word " * 5_000]
    spent = [seconds(question, candidates) for candidates in (usual, long, mixed) for question in questions]
    assert max(spent) < 5 * seconds(QUESTION, usual) + 0.01


def seconds(question: str, candidates: list[CandidatePassage]) -> float:
    """Of this thread's processor to rank candidates whose texts have been read; the least of three."""
    spent = []
    for _ in range(3):
        begun = time.thread_time()
        ranked(candidates, 5, question)
        spent.append(time.thread_time() - begun)
    return min(spent)


def test_however_many_are_fetched_a_bounded_number_is_scored() -> None:
    fetched = [replace(ARCHITECT, chunk_id=str(number)) for number in range(10_000)]
    assert len(choose_candidates([BRIDGE], fetched, [0.5] * len(fetched), unit(1))) == KEPT


def test_a_question_of_many_names_makes_a_bounded_search() -> None:
    text = " ".join(f"Name{number} Bearer{number} spoke." for number in range(5_000))
    seeds = [candidate(str(number), f"Title {number}", text[number * 2_000 :]) for number in range(STARTS)]
    assert len(names_to_find(QUESTION, seeds, np.ones(STARTS), COUNTS)) == MAX_NAMES


def test_the_shipped_weights_name_every_feature() -> None:
    weights = Weights.read(SHIPPED)
    assert set(weights.own) == set(OWN)
    assert set(weights.pair) == set(PAIR)


def test_weights_of_other_features_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "weights.json"
    shipped = shipped_weights()
    replace(shipped, own={name: 0.0 for name in shipped.own if name != "cosine"}).write(path)
    with pytest.raises(InvalidInput, match="cosine"):
        Weights.read(path)


def decided_by(feature: str, count: int) -> list[Example]:
    """Questions that need the one passage whose pairs have this feature."""
    random = np.random.default_rng(3)
    examples = []
    for _ in range(count):
        own = random.normal(scale=0.1, size=(12, len(OWN))).astype(np.float32)
        pair = np.zeros((4, 12, len(PAIR)), dtype=np.float32)
        needed = np.zeros(12, dtype=bool)
        needed[random.integers(4, 12)] = True
        pair[:, needed, list(PAIR).index(feature)] = 1.0
        examples.append(Example(own, pair, needed))
    return examples


def test_what_decides_in_the_examples_is_learned() -> None:
    examples = decided_by("connected_residual", 30)
    weights = learn(examples)
    assert weights.pair["connected_residual"] > 0
    first = [bool(one.needed[score(one.own, one.pair, weights).argmax()]) for one in examples]
    assert np.mean(first) > 0.9


def test_practice_teaches_what_the_questions_do_not_and_decides_nothing_that_they_do() -> None:
    examples = decided_by("connected_residual", 30)
    against = [Example(one.own, -one.pair, one.needed) for one in examples]
    practised = learn(examples, [*decided_by("link", 60), *against])
    assert practised.pair["link"] > 0.1 > abs(learn(examples).pair["link"])
    assert practised.pair["connected_residual"] > 0


def test_nothing_is_learned_from_questions_without_a_needed_passage() -> None:
    nothing = Example(np.zeros((3, len(OWN)), np.float32), np.zeros((2, 3, len(PAIR)), np.float32), np.zeros(3, bool))
    with pytest.raises(InvalidInput, match="gold_ids"):
        learn([nothing])


def test_calibration_error_is_zero_for_honest_probabilities() -> None:
    needed = np.array([True] * 3 + [False] * 1)
    assert calibration_error(np.full(4, 0.75), needed) == 0
    assert calibration_error(np.full(4, 0.25), needed) == 0.5
