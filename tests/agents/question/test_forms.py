"""The form of an answer by the words of its question."""

import pytest

from agents.question.forms import form_of, questions_in
from tests.benchmarks.forms import accuracy


@pytest.mark.parametrize(
    ("question", "form"),
    [
        ("How do I install starlette?", "steps"),
        ("milvus keeps loading forever after a restart, what do i check", "steps"),
        ("hi, can you tell me how to renew my PIV card? thx", "steps"),
        ("diff flat vs ivf_flat pls", "comparison"),
        ("What is the difference between httpx and requests?", "comparison"),
        ("which index types run on a gpu, all of them", "list"),
        ("Which packages are written by Tom Christie?", "list"),
        ("Summarise how travel is paid", "explanation"),
        ("whats knowhere", "explanation"),
        ("wie lösche ich eine collection ohne die anderen zu verlieren", "steps"),
        ("kann ich milvus ohne docker betreiben", "yes_no"),
        ("was ist ein segment", "explanation"),
        ("how many days of sick leave can be advanced", "number"),
        ("", "fact"),
        ("?!", "fact"),
    ],
)
def test_the_form_is_told_from_the_words(question, form):
    assert form_of(question) == form


@pytest.mark.parametrize(
    "question",
    [
        "Which magazine was started first, Arthur's Magazine or First for Women?",
        "Which mountain is taller, Gasherbrum II or Langtang Ri?",
        "What nationality was the author of Fern Hill?",
        "In which city did the creator of the Allegory die?",
        "What is the seat of the county where Van Hook Township is located?",
        "Which band is better known in Japan, CKY or Violent Femmes?",
        "Who wrote the opera that crashed at its first night?",
    ],
)
def test_a_question_for_a_name_stays_a_question_for_a_fact(question):
    assert form_of(question) == "fact"


def test_nine_of_ten_questions_as_people_type_them_are_told_rightly():
    count, wrong = accuracy(built=False)

    assert len(wrong) <= count / 10


@pytest.mark.parametrize(
    ("text", "questions"),
    [
        (
            "What is Knowhere? And how do I back up a collection?",
            ["What is Knowhere?", "how do I back up a collection?"],
        ),
        ("Who wrote Fern Hill? And when did he die?", None),
        ("Really? How do I install attu?", None),
        ("Milvus crashed at 3 a.m. How do I restart it?", None),
        ("What is the difference between A and B and how do they scale?", None),
    ],
)
def test_a_text_is_cut_only_where_both_parts_are_questions_of_their_own(text, questions):
    assert questions_in(text) == (questions or [text])
