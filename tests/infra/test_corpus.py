"""The demo's questions: what has no document has no answer, and what is multiplied has an exact one."""

from infra.corpus import Package, products, unanswerable


def test_a_package_that_has_a_document_is_not_asked_for_as_one_that_has_none():
    names = {question["id"] for question in unanswerable([])}
    less = {question["id"] for question in unanswerable([Package("django", "", "BSD", "", (), "")])}

    assert names - less == {"none-django"}
    assert all(question["answerable"] is False for question in unanswerable([]))


def test_a_product_is_over_two_documents_beside_the_first_and_no_factor_is_one():
    def package(name, *requires):
        return Package(name, "", "BSD", "", requires, "")

    packages = [
        package("a", "c"),
        package("b", "d"),
        package("c", "x", "y", "z"),
        package("d", "x"),
        package("e", "x", "y"),
    ]

    [question] = products(packages)

    assert question.question.startswith("What is the number of packages that e requires, multiplied by")
    assert (question.id, question.answer, question.gold_ids) == ("product-a", "6", ("a", "c", "e"))
