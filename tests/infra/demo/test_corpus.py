"""The demo's questions: a package without a document has no answer, arithmetic has an exact answer."""

import pytest

from infra.demo.corpus import Package, arithmetic, unanswerable


def package(name, *requires):
    return Package(name, "", "BSD", "", requires, "")


def test_a_package_that_has_a_document_is_not_asked_for_as_one_that_has_none():
    names = {question["id"] for question in unanswerable([])}
    less = {question["id"] for question in unanswerable([Package("django", "", "BSD", "", (), "")])}

    assert names - less == {"none-django"}
    assert all(question["answerable"] is False for question in unanswerable([]))


@pytest.mark.parametrize(
    ("form", "says", "answer"),
    [
        ("product", "What is the number of packages that e requires, multiplied by", "10"),
        ("difference", "How many more packages does e require than the only package that a requires requires?", "3"),
        ("total", "How many packages do e and the only package that a requires require together?", "7"),
    ],
)
def test_arithmetic_is_over_two_documents_beside_the_first_and_no_number_is_one(form, says, answer):
    packages = [
        package("a", "c"),
        package("b", "d"),
        package("c", "x", "y"),
        package("d", "x"),
        package("e", "u", "v", "x", "y", "z"),
    ]

    [question] = arithmetic(packages, form)

    assert question.question.startswith(says)
    assert (question.id, question.answer, question.gold_ids) == (f"{form}-a-e", answer, ("a", "c", "e"))


def test_a_question_whose_answer_is_one_of_its_numbers_or_nothing_is_not_asked():
    assert arithmetic([package("a", "c"), package("c", "x", "y"), package("e", "u", "v", "x", "y")], "difference") == []
    assert arithmetic([package("a", "c"), package("c", "x", "y"), package("e", "u", "v")], "difference") == []


def test_every_arithmetic_question_has_an_id_of_its_own():
    packages = [package("a", "c"), package("c", "x", "y"), *(package(name, *"uvwxyz") for name in "efgh")]

    questions = arithmetic(packages, "total")

    assert [question.id for question in questions] == ["total-a-e", "total-a-f", "total-a-g"]
