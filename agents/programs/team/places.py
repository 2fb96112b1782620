"""Places in a sub-task's question: `{id}` stands for the findings of the sub-task `id`, `{each id}` for each name in
them."""

import re
from collections.abc import Mapping

_PLACE = re.compile(r"(?P<before>\{(?:each )?)(?P<id>\w+)(?=\})")
_BETWEEN_NAMES = re.compile(r",\s*(?:and\s+)?|\s+and\s+")


def ids_in(question: str) -> list[str]:
    """The ids in the question's places, in their order; a model may write ids of no sub-task."""
    return [place["id"] for place in _PLACE.finditer(question)]


def with_new_ids(question: str, new_ids: Mapping[str, str]) -> str:
    """The question with some ids replaced in its places."""
    return _PLACE.sub(lambda place: place["before"] + new_ids.get(place["id"], place["id"]), question)


def filled(question: str, findings: Mapping[str, str]) -> list[str]:
    """The question with findings, by id, in its places. With an `{each id}` one question for each name."""
    for id, finding in findings.items():
        question = question.replace(f"{{{id}}}", finding)
    for id, finding in findings.items():
        if (place := f"{{each {id}}}") in question:
            return [question.replace(place, name) for name in _BETWEEN_NAMES.split(finding)]
    return [question]
