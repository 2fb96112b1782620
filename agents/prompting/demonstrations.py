"""Built-in demonstrations, by agent, for predictors without compiled ones.

Without any example a small model copies whole paragraphs. These show the form of a step in an invented domain;
`agents.compile` replaces them by steps that worked on real questions. All come from one small world, so that a
question, its plan, its passages and its conclusion fit together.
"""

import json

from lakehouse.text.sentences import closest_sentence

_HOLM = """# Anna Holm

Anna Holm is described as: a botanist of the north.
Anna Holm wrote 2 books: Moss, Fern.
Anna Holm trusts 1 publisher: Alder Press."""
_MOSS = """# Moss

Moss is described as: a guide to wet woods.
Moss is written in the Swedish language.
Moss has 3 maps: Kiruna, Luleå, Boden."""
_FERN = """# Fern

Fern is described as: plants of the shade.
Fern is written in the Danish language.
Fern has 0 maps."""
_PRESS = """# Alder Press

Alder Press is described as: a house for naturalists.
Alder Press is located in the Bergen district.
Alder Press has 2 offices: Voss, Odda."""

_ORDER = """[1] Alder Press > Orders
To order a book, write to Alder Press. Then send the order with the shop's tool:

code 1:
```sh
alder order moss
```"""

_ROLES = [
    "researcher: finds a fact in the documents",
    "analyst: asks the tables of costs, tasks and runs",
    "coder: works out numbers, dates and lists in Python",
    "critic: says whether findings hold together",
]
_TOOLS = ["search: Find passages.", "calculate: Work out a sum.", "answer: answer from what was found"]

_LANGUAGE = "In which language is Moss written?"
_SHADE = (
    "Among the books that Anna Holm wrote, one is described as: plants of the shade. In which language is it written?"
)
_DISTRICT = "In which district is the only publisher that Anna Holm trusts located?"
_MAPS = "How many maps do the two books that Anna Holm wrote have in total?"
_TIMES = (
    "What is the number of maps that Moss has, multiplied by the number of offices that the only publisher that "
    "Anna Holm trusts has?"
)
_MORE_MAPS = "How many more maps has Moss than Fern?"
_PRODUCT = "What is the number of maps that Moss has, multiplied by the number of offices that Alder Press has?"
_MORE = "How many more maps does Moss have than Fern has?"
_FEWER = "How many fewer maps does Fern have than Moss has?"
_BOTH = "How many maps do Fern and Moss have together?"
_ONLY_BOOK = "the only book that Karl Dale wrote"
_MORE_THAN = f"How many more maps does Moss have than {_ONLY_BOOK} has?"
_FEWER_THAN = f"How many fewer maps does Fern have than {_ONLY_BOOK} has?"
_TOGETHER = f"How many maps do Fern and {_ONLY_BOOK} have together?"
# A lower-case name is a name, too.
_OFFICES_TIMES = (
    f"What is the number of offices that alder-press has, multiplied by the number of maps that {_ONLY_BOOK} has?"
)
_OFFICES = "How many offices do alder-press and the only publisher that Karl Dale trusts have together?"
# Sub-tasks of several plans.
_COUNT_MOSS = ("moss", "researcher", "How many maps does Moss have?")
_COUNT_FERN = ("fern", "researcher", "How many maps does Fern have?")
_FIND_BOOK = ("which", "researcher", f"Which is {_ONLY_BOOK}?")
_COUNT_FOUND = ("count", "researcher", "How many maps does {which} have?", "which")
_SAID_OF_MOSS = f"Moss: {_MOSS.splitlines()[3]}"


def _read(passage: str, question: str, fact: str) -> dict[str, object]:
    return {"passage": passage, "closest": closest_sentence(passage, question), "question": question, "fact": fact}


def _judge(evidence: str, question: str, answer: str, supported: str) -> dict[str, object]:
    return {"evidence": evidence, "question": question, "answer": answer, "supported": supported}


def _said(*passages: str) -> str:
    """A search's line in the notes of `react`."""
    return "search said: " + " ".join(passages)


def _choose(question: str, tool: str, *notes: str) -> dict[str, object]:
    return {"notes": notes, "tools": _TOOLS, "question": question, "tool": tool}


def _fill(question: str, tool: str, arguments: dict[str, str], *notes: str) -> dict[str, object]:
    takes = {"properties": {name: {"type": "string"} for name in arguments}}
    line = next(line for line in _TOOLS if line.startswith(tool))
    return {"notes": notes, "takes": takes, "tool": line, "question": question, "arguments": json.dumps(arguments)}


def _code(question: str, code: str, *known: str) -> dict[str, object]:
    return {"known": known, "refused": "none", "question": question, "arguments": json.dumps({"code": code})}


def _plan(question: str, *tasks: tuple[str, ...]) -> dict[str, object]:
    """A plan of (id, role, question, ids that it needs …)."""
    subs = [{"id": id, "role": role, "question": asked, "needs": needs} for id, role, asked, *needs in tasks]
    return {"roles": _ROLES, "refused": "none", "question": question, "plan": json.dumps({"tasks": subs})}


EXAMPLES: dict[str, list[dict[str, object]]] = {
    "plan": [
        {"question": _LANGUAGE, "look_ups": "0"},
        {"question": _MAPS, "look_ups": "2"},
        {"question": _DISTRICT, "look_ups": "1"},
        {"question": "When was Fern first printed?", "look_ups": "0"},
        {"question": _SHADE, "look_ups": "1"},
    ],
    "read": [
        _read(_PRESS, _DISTRICT, "Bergen"),
        _read(_MOSS, _MAPS, "3"),
        _read(_FERN, _SHADE, "Danish"),
        _read(_MOSS, _LANGUAGE, "Swedish"),
        _read(_FERN, "Which book that Anna Holm wrote is described as: plants of the shade?", "Fern"),
        _read(_HOLM, "Which is the only publisher that Anna Holm trusts?", "Alder Press"),
        _read(_HOLM, "Which are the two books that Anna Holm wrote?", "Moss, Fern"),
        _read(_PRESS, "How many offices does Alder Press have?", "2"),
    ],
    "conclude": [
        {"facts": ["Moss: 3", "Fern: 0"], "question": _MAPS, "answer": "3 + 0"},
        {"facts": ["number: 3", "count: 2"], "question": _TIMES, "answer": "3 * 2"},
        {"facts": ["moss: 3", "count: 1"], "question": _MORE_THAN, "answer": "3 - 1"},
        {"facts": ["count: 1", "fern: 0"], "question": _FEWER_THAN, "answer": "1 - 0"},
        {"facts": ["fern: 0", "count: 1"], "question": _TOGETHER, "answer": "0 + 1"},
        {"facts": ["Alder Press: Bergen"], "question": _DISTRICT, "answer": "Bergen"},
        {"facts": ["Moss: 3", "Fern: 0"], "question": "Which has more maps, Moss or Fern?", "answer": "Moss"},
    ],
    "choose": [
        _choose(_SHADE, "search", _said(_HOLM)),
        _choose(_SHADE, "answer", _said(_HOLM), _said(_FERN)),
        _choose(_DISTRICT, "search", _said(_HOLM)),
        _choose(_DISTRICT, "answer", _said(_HOLM), _said(_PRESS)),
        _choose(_MAPS, "search", _said(_HOLM)),
        _choose(_MAPS, "calculate", _said(_HOLM), _said(_MOSS, _FERN)),
        _choose(_MAPS, "answer", _said(_HOLM), _said(_MOSS, _FERN), "calculate said: 3"),
        _choose(_LANGUAGE, "answer", _said(_MOSS)),
    ],
    "fill": [
        _fill(_SHADE, "search", {"query": "Fern language"}, _said(_HOLM)),
        _fill(_DISTRICT, "search", {"query": "Alder Press district"}, _said(_HOLM)),
        _fill(_MAPS, "search", {"query": "Moss Fern maps"}, _said(_HOLM)),
        _fill(_MAPS, "calculate", {"expression": "3 + 0"}, _said(_HOLM), _said(_MOSS, _FERN)),
        _fill(_TIMES, "calculate", {"expression": "3 * 2"}, _said(_MOSS), _said(_PRESS)),
    ],
    "describe": [
        {"question": _LANGUAGE, "described": "none"},
        {"question": "Which has more maps, Moss or Fern?", "described": "none"},
        {"question": _DISTRICT, "described": "the only publisher that Anna Holm trusts"},
        {"question": _TIMES, "described": "the only publisher that Anna Holm trusts"},
        {"question": _OFFICES_TIMES, "described": _ONLY_BOOK},
        {"question": _TOGETHER, "described": _ONLY_BOOK},
        {"question": _OFFICES, "described": "the only publisher that Karl Dale trusts"},
        {"question": _MORE_THAN, "described": _ONLY_BOOK},
        {"question": _FEWER_THAN, "described": _ONLY_BOOK},
        {"question": f"How many fewer maps does {_ONLY_BOOK} have than Fern?", "described": _ONLY_BOOK},
        {"question": "When was the author of Fern born?", "described": "the author of Fern"},
        {"question": _SHADE, "described": "none"},
        {"question": _MAPS, "described": "the two books that Anna Holm wrote"},
    ],
    "plan_tasks": [
        _plan("What did we spend yesterday?", ("spent", "analyst", "What did we spend yesterday?")),
        _plan(_LANGUAGE, ("language", "researcher", _LANGUAGE)),
        _plan(
            _MORE_MAPS,
            _COUNT_MOSS,
            _COUNT_FERN,
            ("more", "coder", "{moss} less {fern}", "moss", "fern"),
        ),
        _plan(
            _SHADE,
            ("which", "researcher", "Which book that Anna Holm wrote is described as: plants of the shade?"),
            ("language", "researcher", "In which language is {which} written?", "which"),
        ),
        _plan(
            _DISTRICT,
            ("which", "researcher", "Which is the only publisher that Anna Holm trusts?"),
            ("district", "researcher", "In which district is {which} located?", "which"),
        ),
        _plan(
            _MAPS,
            ("two", "researcher", "Which are the two books that Anna Holm wrote?"),
            ("maps", "researcher", "How many maps does {each two} have?", "two"),
        ),
        _plan(
            _TIMES,
            ("number", "researcher", "How many maps does Moss have?"),
            ("which", "researcher", "Which is the only publisher that Anna Holm trusts?"),
            ("count", "researcher", "How many offices does {which} have?", "which"),
        ),
        _plan(_MORE_THAN, _COUNT_MOSS, _FIND_BOOK, _COUNT_FOUND),
        _plan(_FEWER_THAN, _FIND_BOOK, _COUNT_FOUND, _COUNT_FERN),
        _plan(_TOGETHER, _COUNT_FERN, _FIND_BOOK, _COUNT_FOUND),
    ],
    "plan_named": [
        _plan(
            _MORE,
            _COUNT_MOSS,
            _COUNT_FERN,
            ("more", "coder", "How many more are {moss} than {fern}?", "moss", "fern"),
        ),
        _plan(
            _FEWER,
            _COUNT_FERN,
            _COUNT_MOSS,
            ("fewer", "coder", "How many fewer are {fern} than {moss}?", "fern", "moss"),
        ),
        _plan(
            _PRODUCT,
            _COUNT_MOSS,
            ("press", "researcher", "How many offices does Alder Press have?"),
            ("product", "coder", "{moss} times {press}", "moss", "press"),
        ),
        _plan(
            _BOTH,
            _COUNT_FERN,
            _COUNT_MOSS,
            ("total", "coder", "{fern} plus {moss}", "fern", "moss"),
        ),
        _plan(
            "In which language is Moss written, and in which Fern?",
            ("moss", "researcher", "In which language is Moss written?"),
            ("fern", "researcher", "In which language is Fern written?"),
        ),
    ],
    "ask_for_more": [
        {"facts": ["which: Fern", "language: Danish"], "answer": "Danish", "question": _SHADE, "open": "complete"},
        {"facts": ["two: Moss, Fern", "maps: 3", "maps: 0"], "answer": "3", "question": _MAPS, "open": "complete"},
        {
            "facts": ["which: Fern"],
            "answer": "Fern",
            "question": _SHADE,
            "open": "missing: In which language is Fern written?",
        },
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
        _code("3 less 0", "3 - 0"),
        _code("How many more are 3 than 0?", "3 - 0"),
        _code("How many fewer are 0 than 3?", "3 - 0"),
        _code("0 plus 3", "0 + 3"),
        _code("3 times 2", "3 * 2"),
        _code(_MORE, "3 - 0", "moss: 3", "fern: 0"),
        _code(_BOTH, "0 + 3", "fern: 0", "moss: 3"),
    ],
    "review": [
        {"known": ["moss: 3 maps", "fern: 0 maps"], "question": "Are both numbers of maps?", "verdict": "holds"},
        {"known": ["moss: Bergen"], "question": "Is it a number?", "verdict": "doubtful"},
    ],
    "debate": [
        {
            "answers": f"1. Bergen: {_PRESS.splitlines()[3]}\n2. Swedish: {_MOSS.splitlines()[3]}",
            "question": _LANGUAGE,
            "number": "2",
        },
        {
            "answers": f"1. Bergen: {_PRESS.splitlines()[3]}\n2. Danish: {_FERN.splitlines()[3]}",
            "question": _DISTRICT,
            "number": "1",
        },
    ],
    "judge": [
        _judge(_SAID_OF_MOSS, _LANGUAGE, "Swedish", "yes"),
        _judge(_SAID_OF_MOSS, _LANGUAGE, "Danish", "no"),
        _judge(f"Alder Press: {_PRESS.splitlines()[3]}", _DISTRICT, "Bergen", "yes"),
        _judge(f"Fern: {_FERN.splitlines()[3]}", _LANGUAGE, "Danish", "no"),
    ],
    "complete": [
        {
            "conversation": f"Question: {_LANGUAGE}\nAnswer: Swedish",
            "last_question": "and how many maps does it have?",
            "complete": "How many maps does Moss have?",
        }
    ],
    "write_explanation": [
        {
            "passages": f"[1] Moss\n{_MOSS}\n\n[2] Alder Press\n{_PRESS}",
            "question": "what is moss about",
            "answer": "Moss is a guide to wet woods. [1]\nIt is written in Swedish. [1]",
        }
    ],
    "write_list": [
        {
            "passages": f"[1] Anna Holm\n{_HOLM}\n\n[2] Alder Press\n{_PRESS}",
            "question": "which books did anna holm write, all of them",
            "answer": "- Moss [1]\n- Fern [1]",
        }
    ],
    "write_comparison": [
        {
            "passages": f"[1] Moss\n{_MOSS}\n\n[2] Fern\n{_FERN}",
            "sides": ["moss", "fern"],
            "question": "diff moss vs fern",
            "answer": "| language | Swedish | Danish | [1] [2]\n| maps | 3 | 0 | [1] [2]",
        }
    ],
    "write_steps": [
        {
            "passages": _ORDER,
            "question": "how do i order a book",
            "answer": "1. Write to Alder Press. [1]\n2. Send the order with the shop's tool: [1]\ncode 1",
        }
    ],
    "answer": [
        {"passages": f"{_HOLM}\n\n{_PRESS}", "question": _DISTRICT, "answer": "Bergen"},
        {"passages": f"{_HOLM}\n\n{_FERN}", "question": _SHADE, "answer": "Danish"},
        {"passages": f"{_MOSS}\n\n{_PRESS}", "question": _LANGUAGE, "answer": "Swedish"},
    ],
}
