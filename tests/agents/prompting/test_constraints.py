"""Constraints of output fields: the same result with and without grammars in the server."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.programs.team.plan import Plan
from agents.prompting.constraints import (
    MAX_SPAN_CHARACTERS,
    NONE,
    BestOf,
    ChoiceOf,
    JsonAs,
    JsonOf,
    OneOf,
    QuestionOr,
    SpanOf,
    SumOf,
    YesNoOr,
    is_sum,
    stated_sum,
    wants_yes_or_no,
)
from agents.tools.builtin import BUILT_IN
from agents.tools.python import Code
from agents.tools.sql import Statement

PASSAGE = "Flask has the license BSD-3-Clause.\nIt has   3 maintainers."
FACTS = ["Warta: 808 km", "Neisse: 254 km"]
TEXTS = st.text(st.sampled_from("aB c.,'\"-\n\\1é许"), max_size=60)


def snapped(text, passage=PASSAGE):
    return SpanOf("passage").snap(text, {"passage": passage})


# ---- a span of an input -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "fact"),
    [
        ("BSD-3-Clause", "BSD-3-Clause"),
        ('"bsd-3-clause".', "BSD-3-Clause"),
        ("3\nmaintainers", "3 maintainers"),
        ("none", NONE),
        ("None.", NONE),
        ("", NONE),
        ("MIT", NONE),
        ("许" * 10_000, NONE),
    ],
)
def test_what_was_said_becomes_the_words_that_stand_there(said, fact):
    assert snapped(said) == fact


def test_a_span_goes_no_further_than_a_sentence_that_ends_its_line():
    grammar = SpanOf("p").structured_outputs({"p": "Flask needs\nJinja 3.1.\nIt is old."})["grammar"]

    assert 'w1 ::= "needs" | "needs " w2' in grammar  # a line that is only folded
    assert 'w3 ::= "3.1"\n' in grammar


def test_a_span_is_cut_where_the_passage_writes_it_though_lower_case_is_longer():
    passage = "İlk İkon İnönü İpek salonları. Serginin küratörü Orhan Karatepe olarak bilinir."

    assert snapped("serginin küratörü Orhan Karatepe", passage) == "Serginin küratörü Orhan Karatepe"


def test_an_answer_cut_off_inside_a_word_ends_before_it():
    assert snapped("the license BSD-3-Cl") == "the license"


@given(TEXTS, TEXTS)
def test_whatever_is_said_stands_in_the_input_or_is_none(said, text):
    fact = snapped(said, text)

    assert fact == NONE or fact in " ".join(text.split())


def test_a_span_is_no_longer_than_its_limit():
    assert len(snapped("word " * 1_000, "word " * 1_000)) <= MAX_SPAN_CHARACTERS


def test_a_grammar_is_as_long_as_its_input_and_not_its_square():
    grammars = [SpanOf("p").structured_outputs({"p": "a word or two " * n})["grammar"] for n in (50, 200)]

    assert len(grammars[1]) < 6 * len(grammars[0])


@given(TEXTS)
def test_a_grammar_is_rules_of_one_line_each_that_a_root_leads_to(text):
    allowed = SpanOf("p").structured_outputs({"p": text})

    if not text.split():
        assert allowed is None
        return
    rules = dict(line.split(" ::= ", 1) for line in allowed["grammar"].split("\n"))
    assert next(iter(rules)) == "root"
    assert json.dumps(NONE) in rules["root"]


# ---- yes or no -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("question", "wanted"),
    [
        ("Are Moss and Fern both books?", True),
        (" was Moss printed twice?", True),
        ("Moss has 3 maps. Does Fern have as many?", True),
        ("Is Moss or Fern older?", False),
        ("Can you tell me who wrote Moss?", False),
        ("Which book is Moss?", False),
        ("In which year was Moss printed?", False),
        ("", False),
    ],
)
def test_a_question_that_begins_with_its_verb_wants_yes_or_no(question, wanted):
    assert wants_yes_or_no(question) is wanted


@pytest.mark.parametrize(
    ("said", "answer"), [("yes", "yes"), ("No.", "no"), ("none", NONE), ("None of them", NONE), ("3", NONE), ("", NONE)]
)
def test_yes_and_no_stand_in_no_passage_and_are_answers_all_the_same(said, answer):
    inputs = {"passage": PASSAGE, "question": "Is Flask published under BSD-3-Clause?"}
    assert YesNoOr(SpanOf("passage")).snap(said, inputs) == answer
    assert YesNoOr(SpanOf("passage")).structured_outputs(inputs) == {"choice": ["yes", "none", "no"]}


def test_any_other_question_is_answered_as_ever():
    inputs = {"passage": PASSAGE, "question": "Which license has Flask?"}
    assert YesNoOr(SpanOf("passage")).snap("bsd-3-clause", inputs) == "BSD-3-Clause"
    assert YesNoOr(SpanOf("passage")).structured_outputs(inputs) == SpanOf("passage").structured_outputs(inputs)


# ---- an order of lines -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "best"),
    [
        ("3 1", "3 1"),
        (" 2, 1, 3\n", "2 1 3"),
        ("3 > 2 > 1", "3 2 1"),
        ("2 2 1", "2 1"),
        ("4 3 2 1 3", "4 3 2"),
        *((garbage, "") for garbage in ("", "5 1", "0", "-1", "1.", "first 1", "9" * 5_000, "③")),
    ],
)
def test_an_order_is_numbers_of_lines_or_nothing(said, best):
    assert BestOf("lines", 3).snap(said, {"lines": "a\nb\nc\nd"}) == best


def test_an_order_asks_for_no_more_than_there_are():
    assert BestOf("lines", 1).structured_outputs({"lines": "a\nb"}) == {"choice": ["1", "2"]}
    assert BestOf("lines", 3).structured_outputs({"lines": "a\nb"}) == {"regex": "(1|2)( (1|2)){1}"}


@given(TEXTS)
def test_whatever_is_said_is_an_order_of_lines_that_there_are(said):
    best = BestOf("lines", 2).snap(said, {"lines": "a\nb\nc"}).split()
    assert set(best) <= {"1", "2", "3"}
    assert len(set(best)) == len(best) <= 2


# ---- one of a few, and a sum ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("said", "choice"), [("2", "2"), (" 1.", "1"), ("two", "0"), ("", "0"), ("许", "0")])
def test_the_first_choice_stands_for_anything_else(said, choice):
    look_ups = OneOf(("0", "1", "2"))

    assert look_ups.snap(said, {}) == choice
    assert look_ups.structured_outputs({}) == {"choice": ["0", "1", "2"]}


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("808 km", "808 km"),
        ("Neisse", "Neisse"),
        ("neise", "Neisse"),
        ("808 - 254", "808 - 254"),
        (" 808 + 254 ", "808 + 254"),
    ],
)
def test_a_conclusion_is_a_name_a_fact_or_a_sum_of_their_numbers(said, answer):
    assert SumOf("facts").snap(said, {"facts": FACTS}) == answer


def test_a_pattern_repeats_nothing_a_counted_number_of_times():
    """vLLM refuses a pattern that takes over 5 s to compile; counted patterns took that long on a busy machine."""
    assert "{" not in QuestionOr("complete").structured_outputs({})["regex"]


@pytest.mark.parametrize("model", [Plan, Code, Statement])
def test_a_schema_has_no_lengths_that_vllm_would_unroll(model):
    """With lengths the grammar of a plan took 4 s of processor time to compile, and 4 ms without."""
    given = [
        JsonAs(model).structured_outputs({}),
        JsonOf("takes").structured_outputs({"takes": model.model_json_schema()}),
    ]

    assert all("Length" not in json.dumps(one) and "Items" not in json.dumps(one) for one in given)
    assert given[0]["json"]["required"] == model.model_json_schema()["required"]


@pytest.mark.parametrize(
    ("arguments", "is_allowed"),
    [
        ({"query": "Moss Fern maps"}, True),
        ({"query": " ".join(["许"] * 16)}, True),
        ({"query": " ".join(["word"] * 17)}, False),
        ({"query": ""}, False),
    ],
)
def test_a_text_that_declares_its_words_is_ended_by_them(arguments, is_allowed):
    xgrammar = pytest.importorskip("xgrammar", reason="comes with vllm")
    (search,) = (tool for tool in BUILT_IN if tool.name == "search")

    schema = JsonOf("takes").structured_outputs({"takes": search.schema()})["json"]

    assert "maxWords" not in json.dumps(schema)
    grammar = xgrammar.Grammar.from_json_schema(schema)
    assert xgrammar.testing._is_grammar_accept_string(grammar, json.dumps(arguments, ensure_ascii=False)) is is_allowed


def test_a_sum_of_other_numbers_is_not_allowed():
    parts = {"808 km", "254 km", "Warta", "Neisse"}

    assert SumOf("facts").snap("808 - 999", {"facts": FACTS}) in parts
    assert SumOf("facts").snap("1 + 1", {"facts": ["Emilia: a play"]}) in {"Emilia", "a play"}


@given(TEXTS, st.lists(TEXTS, max_size=4))
def test_any_conclusion_is_a_part_of_a_line_a_sum_or_none(said, lines):
    answer = SumOf("facts").snap(said, {"facts": lines})

    assert answer == NONE or is_sum(answer) or any(answer in line for line in lines)


def test_no_facts_allow_nothing():
    assert SumOf("facts").structured_outputs({"facts": []}) is None
    assert SumOf("facts").snap("anything", {"facts": []}) == NONE


@pytest.mark.parametrize(("text", "expected"), [("3 + 4", True), ("3+4*2", True), ("7", False), ("BSD-3", False)])
def test_a_sum_has_two_numbers(text, expected):
    assert is_sum(text) is expected


@pytest.mark.parametrize("model", [Plan, Statement, Code, *(tool.arguments for tool in BUILT_IN)])
def test_every_schema_that_a_model_is_held_to_is_one_that_the_server_can_compile(model):
    xgrammar = pytest.importorskip("xgrammar", reason="comes with vllm")

    assert "root ::=" in str(xgrammar.Grammar.from_json_schema(model.model_json_schema()))
    assert "root ::=" in str(xgrammar.Grammar.from_json_schema(JsonAs(model).structured_outputs({})["json"]))


def test_a_choice_is_a_name_of_the_list_and_its_last_for_anything_else():
    inputs = {"tools": ["search: Find passages.", "search_more: …", "answer: answer now"]}
    constraint = ChoiceOf("tools")

    assert constraint.structured_outputs(inputs) == {"choice": ["search", "search_more", "answer"]}
    assert [constraint.snap(text, inputs) for text in ("search_more", " search:", "?", "")] == [
        "search_more",
        "search",
        "answer",
        "answer",
    ]


@pytest.mark.parametrize("text", ['{"a": 1}', 'Sure! ```json\n{"a": 1}\n``` Done.', '  {"a": 1}'])
def test_json_is_taken_out_of_what_stands_around_it(text):
    assert JsonOf("takes").snap(text, {}) == JsonAs(Plan).snap(text, {}) == '{"a": 1}'
    assert JsonOf("takes").snap("none", {}) == "none"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("complete", "complete"),
        ("missing: How long is it? And why?", "missing: How long is it?"),
        ("How long is it?", "missing: How long is it?"),
        ("How long is it", "complete"),
        ("", "complete"),
        ("許" * 500 + "?", "complete"),
    ],
)
def test_an_open_question_is_one_line_or_none_is_open(text, said):
    assert QuestionOr("complete").snap(text, {}) == said


@pytest.mark.parametrize(
    ("facts", "question", "expected"),
    [
        (["a: 8", "b: 9"], "How many do a and b have in total?", "8 + 9"),
        (["a: 8", "b: 9", "c: 1"], "Wie viele haben sie zusammen?", "8 + 9 + 1"),
        (["a: 8", "b: 9"], "What is the number of a, multiplied by that of b?", "8 * 9"),
        (["a: 8", "b: 9"], "How many more has b than a?", ""),
        (["a: 8 km", "b: 9"], "How many in total?", ""),
        (["a: 8"], "How many in total?", ""),
    ],
)
def test_a_total_and_a_product_follow_from_the_words_of_the_question(facts, question, expected):
    assert stated_sum(facts, question) == expected
