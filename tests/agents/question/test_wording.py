"""Contractions and filler of questions as people type them."""

import pytest

from agents.question.wording import without_filler, written_out


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("hi there, can u pls tell me whats the wifi code? thx", "what is the wifi code?"),
        ("milvus doesnt start asap pls", "milvus does not start"),
        ("i want to know why it isn't fast, please", "why it is not fast"),
        ("kannst du mir bitte sagen wie ich milvus installiere, danke", "wie ich milvus installiere"),
        ("bonjour, comment installer milvus s'il vous plaît", "comment installer milvus"),
        ("请问 如何安装 milvus", "如何安装 milvus"),
        ("tell me about resource groups", "tell me about resource groups"),
    ],
)
def test_what_is_said_around_a_question_is_dropped(typed, kept):
    assert without_filler(written_out(typed)) == kept


@pytest.mark.parametrize(
    "question",
    [
        "Hey Jude was written by whom?",
        "Who sang Please Please Me?",
        "Who directed Don't Look Back?",
        "Who directed It's a Wonderful Life?",
        "how do i set milvus.yaml's dont.care to w/x",
        "pls",
    ],
)
def test_names_and_code_are_left_as_they_are(question):
    assert without_filler(written_out(question)) == question
