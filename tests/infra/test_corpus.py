"""The demo's questions: what has no document has no answer."""

from infra.corpus import Package, unanswerable


def test_a_package_that_has_a_document_is_not_asked_for_as_one_that_has_none():
    names = {question["id"] for question in unanswerable([])}
    less = {question["id"] for question in unanswerable([Package("django", "", "BSD", "", (), "")])}

    assert names - less == {"none-django"}
    assert all(question["answerable"] is False for question in unanswerable([]))
