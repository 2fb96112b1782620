"""Demonstrations for a predictor that has none of its own: what its step looks like, in a domain that is nobody's.

Without any example a small model copies whole paragraphs. These show the form; the content of a real domain comes
when `agents.compile` puts what worked on real questions in their place.
"""

_RIVER = """# Oder

The Oder springs in the Oder Hills and is 866 km long.
The Oder has 2 large tributaries: Warta, Neisse."""
_WARTA = """# Warta

The Warta springs in Kromołów and is 808 km long.
The Warta has 1 large tributary: Noteć."""
_NEISSE = """# Neisse

The Neisse springs in Nová Ves and is 254 km long.
The Neisse has 0 large tributaries."""
_PLAY = """# Emilia Galotti

Emilia Galotti is a play in five acts by Gotthold Lessing, first played in Brunswick."""
_POET = """# Gotthold Lessing

Gotthold Lessing was a poet of the Enlightenment, born in Kamenz and buried in Brunswick."""

_SPRING = "Where does the tributary of the Oder spring that is 254 km long?"
_COUNT = "How many large tributaries do the two large tributaries of the Oder have together?"
_BIRTH = "In which town was the writer of Emilia Galotti born?"
_LENGTH = "How long is the Warta?"


EXAMPLES: dict[str, list[dict[str, object]]] = {
    "plan": [
        {"question": _LENGTH, "look_ups": "0"},
        {"question": _COUNT, "look_ups": "2"},
        {"question": _BIRTH, "look_ups": "1"},
        {"question": "When was the Oder last frozen?", "look_ups": "0"},
        {"question": _SPRING, "look_ups": "1"},
    ],
    "read": [
        {"passage": _POET, "closest": _POET.splitlines()[-1], "question": _BIRTH, "fact": "Kamenz"},
        {"passage": _WARTA, "closest": _WARTA.splitlines()[-1], "question": _COUNT, "fact": "1"},
        {"passage": _NEISSE, "closest": _NEISSE.splitlines()[2], "question": _SPRING, "fact": "Nová Ves"},
        {"passage": _WARTA, "closest": _WARTA.splitlines()[2], "question": _LENGTH, "fact": "808 km"},
    ],
    "conclude": [
        {"facts": ["Warta: 1", "Neisse: 0"], "question": _COUNT, "answer": "1 + 0"},
        {"facts": ["Gotthold Lessing: Kamenz"], "question": _BIRTH, "answer": "Kamenz"},
        {
            "facts": ["Warta: 808 km", "Neisse: 254 km"],
            "question": "Which is longer, Warta or Neisse?",
            "answer": "Warta",
        },
    ],
    "choose": [
        {
            "notes": [f"search said: {_RIVER.splitlines()[-1]}"],
            "tools": ["search: Find passages.", "calculate: Work out a sum.", "answer: answer from what was found"],
            "question": _SPRING,
            "tool": "search",
        },
        {
            "notes": [f"search said: {_WARTA.splitlines()[2]}"],
            "tools": ["search: Find passages.", "calculate: Work out a sum.", "answer: answer from what was found"],
            "question": _LENGTH,
            "tool": "answer",
        },
        {
            "notes": ["search said: The Warta has 1 large tributary.", "search said: The Neisse has 0."],
            "tools": ["search: Find passages.", "calculate: Work out a sum.", "answer: answer from what was found"],
            "question": _COUNT,
            "tool": "calculate",
        },
    ],
    "fill": [
        {
            "notes": [f"search said: {_RIVER.splitlines()[-1]}"],
            "takes": {"properties": {"query": {"type": "string"}}},
            "tool": "search: Find passages.",
            "question": _SPRING,
            "arguments": '{"query": "Neisse 254 km springs"}',
        },
        {
            "notes": ["search said: The Warta has 1 large tributary.", "search said: The Neisse has 0."],
            "takes": {"properties": {"expression": {"type": "string"}}},
            "tool": "calculate: Work out a sum.",
            "question": _COUNT,
            "arguments": '{"expression": "1 + 0"}',
        },
    ],
    "answer": [
        {"passages": f"{_PLAY}\n\n{_POET}", "question": _BIRTH, "answer": "Kamenz"},
        {"passages": f"{_RIVER}\n\n{_NEISSE}", "question": _SPRING, "answer": "Nová Ves"},
        {"passages": f"{_WARTA}\n\n{_POET}", "question": _LENGTH, "answer": "808 km"},
    ],
}
