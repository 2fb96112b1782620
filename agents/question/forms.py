"""The form of the answer that a question asks for, told from its words alone: no model call.

`agents.question.form_words` holds the patterns of each form; they are tried in a fixed order, and a question that fits
none asks for a fact. Questions are read in lower case, with contractions written out and without politeness, so *whats
the diff flat vs ivf_flat pls* is read like a written sentence. `tests.benchmarks.forms` measures the choice.
"""

import re

from agents.answer import Form
from agents.prompting.constraints import wants_yes_or_no
from agents.question import form_words
from agents.question.wording import asked_plainly
from lakehouse.text.terms import terms

# The first that fits decides: *summarise how to* asks for a summary, *explain how to* for steps, *who* for a name.
_ORDER: tuple[tuple[Form, re.Pattern[str]], ...] = (
    ("explanation", form_words.SUMMARY),
    ("steps", form_words.IS_THERE_A_WAY),
    ("yes_no", form_words.YES_NO),
    ("comparison", form_words.COMPARISON),
    ("steps", form_words.STEPS),
    ("explanation", form_words.REASON),
    ("list", form_words.ALL_OF_THEM),
    ("number", form_words.NUMBER),
    ("fact", form_words.FACT),
    ("list", form_words.LIST),
    ("explanation", form_words.EXPLANATION),
    ("fact", form_words.NAMED),
    ("steps", form_words.TROUBLE),
)
_QUESTION_END = re.compile(r"(?<=[?？¿])\s+|(?<=？)|\n+")
_FEWEST_TERMS = 1
# A question that points to another one is no question of its own: English, German, French, Spanish.
_POINTS_BACK = re.compile(
    r"\b(?:it|its|they|them|their|this|that one|these|those|he|him|his|she|her|same|ihn|ihm|dessen|deren|davon|dafür|"
    r"dazu|damit|celui|celle|cela|ça|eso|esto|ellos)\b",
    re.IGNORECASE,
)
_JOINT = re.compile(r"^(?:and|und|et|y|also|plus|then)\b[\s,]*", re.IGNORECASE)


def form_of(question: str) -> Form:
    """The form of the answer; a fact where nothing tells another."""
    asked = asked_plainly(question)
    if wants_yes_or_no(asked) and not form_words.IS_THERE_A_WAY.search(asked):
        return "yes_no"
    return next((form for form, pattern in _ORDER if pattern.search(asked)), "fact")


def questions_in(text: str) -> list[str]:
    """The questions of a text that asks several, each without the word that joins it; else the text alone.

    It is cut after question marks, and only where each part is a question of its own: none points back to another.
    """
    parts = [part.strip() for part in _QUESTION_END.split(text) if part.strip()]
    if len(parts) < 2 or not all(map(_is_whole, parts)) or any(map(_POINTS_BACK.search, parts[1:])):
        return [text]
    return [_JOINT.sub("", part) for part in parts]


def _is_whole(part: str) -> bool:
    return part[-1] in "?？" and len(terms(part)) >= _FEWEST_TERMS and form_words.ASKS.search(part.lower()) is not None
