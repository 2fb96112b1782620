"""Demonstrations that every program starts with: what each step looks like, in a domain that is nobody's.

Without any example a small model copies whole paragraphs. These show the form; the content of a real domain comes
when `agents.compile` replaces them by what worked on real questions.
"""

import dspy

_RIVER = "# Oder\n\nThe Oder springs in the Fidlův kopec.\nThe Oder is 840 km long.\nThe Oder has 2 large tributaries: Warta, Neisse."
_WARTA = "# Warta\n\nThe Warta springs in Kromołów.\nThe Warta is 808 km long.\nThe Warta has 1 large tributary: Noteć."
_NEISSE = "# Neisse\n\nThe Neisse springs in Nová Ves.\nThe Neisse is 254 km long.\nThe Neisse has 0 large tributaries."
_PLAY = "# Emilia\n\nEmilia is described as: a play in five acts.\nEmilia was written by Gotthold Lessing.\nEmilia was set to music by Anna Bon."
_POET = "# Gotthold Lessing\n\nGotthold Lessing is described as: a poet of the Enlightenment.\nGotthold Lessing was born in Kamenz."

_SPRING = "Where does the tributary of the Oder spring that is 254 km long?"
_COUNT = "How many large tributaries do the two large tributaries of the Oder have together?"
_BIRTH = "In which town was the writer of Emilia born?"
_LENGTH = "How long is the Warta?"


def _examples(inputs: tuple[str, ...], *rows: dict[str, object]) -> list[dspy.Example]:
    return [dspy.Example(**row).with_inputs(*inputs) for row in rows]


EXAMPLES: dict[str, list[dspy.Example]] = {
    "choose": _examples(
        ("passage", "names", "question"),
        {"passage": _PLAY, "names": ["Gotthold Lessing", "Anna Bon"], "question": _BIRTH, "chosen": "Gotthold Lessing"},
        {"passage": _RIVER, "names": ["Warta", "Neisse"], "question": _COUNT, "chosen": "Warta, Neisse"},
        {"passage": _RIVER, "names": ["Neisse", "Warta"], "question": _SPRING, "chosen": "Neisse"},
        {"passage": _WARTA, "names": ["Noteć"], "question": _LENGTH, "chosen": "none"},
    ),
    "read": _examples(
        ("passage", "question"),
        {"passage": _POET, "question": _BIRTH, "fact": "Kamenz"},
        {"passage": _WARTA, "question": _COUNT, "fact": "1"},
        {"passage": _NEISSE, "question": _SPRING, "fact": "Nová Ves"},
        {"passage": _WARTA, "question": _LENGTH, "fact": "808 km"},
    ),
    "conclude": _examples(
        ("facts", "question"),
        {"facts": ["Warta: 1", "Neisse: 0"], "question": _COUNT, "answer": "1 + 0"},
        {"facts": ["Gotthold Lessing: Kamenz"], "question": _BIRTH, "answer": "Kamenz"},
        {
            "facts": ["Warta: 808 km", "Neisse: 254 km"],
            "question": "Which is longer, Warta or Neisse?",
            "answer": "Warta",
        },
    ),
    "answer": _examples(
        ("passages", "question"),
        {"passages": f"{_PLAY}\n\n{_POET}", "question": _BIRTH, "answer": "Kamenz"},
        {"passages": f"{_RIVER}\n\n{_NEISSE}", "question": _SPRING, "answer": "Nová Ves"},
        {"passages": f"{_WARTA}\n\n{_POET}", "question": _LENGTH, "answer": "808 km"},
    ),
}
