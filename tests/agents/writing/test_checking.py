"""Lines of a draft held against their passages."""

from agents.writing.checking import checked
from agents.writing.drafts import TYPED, Line
from agents.writing.numbered import numbered
from tests.agents.conftest import passage

PUMP = passage("Pump", "The pump weighs 14 kg.\nIt must not run dry.\n\n```sh\npump --on\n```")
VALVE = passage("Valve", "The valve opens at 3 bar.")
SHOWN = numbered([PUMP, VALVE], 6_000)


def kept(*lines: Line) -> list[str]:
    return [statement.text for statement in checked(lines, SHOWN).statements]


def test_a_number_a_negation_and_a_name_must_stand_in_the_passage() -> None:
    assert kept(
        Line("The pump weighs 14 kg", (1,)),
        Line("The pump weighs 41 kg", (1,)),
        Line("The pump must run dry", (1,)),
        Line("The pump is made by Grundfos", (1,)),
    ) == ["The pump weighs 14 kg"]


def test_a_line_of_two_passages_cites_both() -> None:
    result = checked([Line("The pump weighs 14 kg and the valve opens at 3 bar", (1, 2))], SHOWN)

    assert [citation.title for citation in result.citations] == ["Pump", "Valve"]


def test_a_line_without_a_citation_gets_the_passage_that_carries_it() -> None:
    assert checked([Line("The valve opens at 3 bar")], SHOWN).citations[0].title == "Valve"


def test_code_is_kept_to_the_letter_or_dropped() -> None:
    typed = Line("```bash\npump --on\n```", code=TYPED)
    result = checked([typed, Line("", code="code 9"), Line("```sh\npump --off\n```", code=TYPED)], SHOWN)

    assert [statement.text for statement in result.statements] == ["```sh\npump --on\n```"]
    assert result.dropped == ["```sh\npump --off\n```"]
