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

_SAID_OF_WARTA = f"Warta: {_WARTA.splitlines()[2]}"
_SAID_OF_NEISSE = f"Neisse: {_NEISSE.splitlines()[2]}"

_ROLES = [
    "researcher: finds a fact in the documents",
    "analyst: asks the tables of costs, tasks and runs",
    "coder: works out numbers, dates and lists in Python",
    "critic: says whether findings hold together",
]

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
    "plan_tasks": [
        {
            "roles": _ROLES,
            "refused": "none",
            "question": _SPRING,
            "plan": '{"tasks": [{"id": "which", "role": "researcher", "question": "Which tributary of the Oder is '
            '254 km long?", "needs": []}, {"id": "spring", "role": "researcher", "question": "Where does the {which} '
            'spring?", "needs": ["which"]}]}',
        },
        {
            "roles": _ROLES,
            "refused": "none",
            "question": "How much longer is the Oder than the Warta?",
            "plan": '{"tasks": [{"id": "oder", "role": "researcher", "question": "How long is the Oder?", "needs": '
            '[]}, {"id": "warta", "role": "researcher", "question": "How long is the Warta?", "needs": []}, {"id": '
            '"more", "role": "coder", "question": "{oder} less {warta}", "needs": ["oder", "warta"]}]}',
        },
        {
            "roles": _ROLES,
            "refused": "none",
            "question": "What did we spend yesterday?",
            "plan": '{"tasks": [{"id": "spent", "role": "analyst", "question": "What did we spend yesterday?", '
            '"needs": []}]}',
        },
    ],
    "ask_for_more": [
        {"facts": ["which: Neisse", "spring: Nová Ves"], "answer": "Nová Ves", "question": _SPRING, "open": "complete"},
        {"facts": ["which: Neisse"], "answer": "Neisse", "question": _SPRING, "open": "Where does the Neisse spring?"},
    ],
    "analyst": [
        {
            "tables": ["gold.cost_daily(day, tenant_id, app, usd)"],
            "known": [],
            "refused": "none",
            "question": "What did we spend on 3 November 2026?",
            "arguments": '{"statement": "SELECT sum(usd) AS usd FROM gold.cost_daily WHERE day = DATE \'2026-11-03\'"}',
        }
    ],
    "coder": [
        {
            "known": ["oder: 866 km", "warta: 808 km"],
            "refused": "none",
            "question": "866 km less 808 km",
            "arguments": '{"code": "866 - 808"}',
        }
    ],
    "review": [
        {"known": ["oder: 866 km", "warta: 808 km"], "question": "Are both lengths?", "verdict": "holds"},
        {"known": ["oder: Brunswick"], "question": "Is it a length?", "verdict": "doubtful"},
    ],
    "judge": [
        {"evidence": _SAID_OF_WARTA, "question": _LENGTH, "answer": "808 km", "supported": "yes"},
        {"evidence": _SAID_OF_WARTA, "question": _LENGTH, "answer": "254 km", "supported": "no"},
        {"evidence": _POET.splitlines()[-1], "question": _BIRTH, "answer": "Kamenz", "supported": "yes"},
        {"evidence": _SAID_OF_NEISSE, "question": "How long is the Oder?", "answer": "254 km", "supported": "no"},
    ],
    "answer": [
        {"passages": f"{_PLAY}\n\n{_POET}", "question": _BIRTH, "answer": "Kamenz"},
        {"passages": f"{_RIVER}\n\n{_NEISSE}", "question": _SPRING, "answer": "Nová Ves"},
        {"passages": f"{_WARTA}\n\n{_POET}", "question": _LENGTH, "answer": "808 km"},
    ],
}
