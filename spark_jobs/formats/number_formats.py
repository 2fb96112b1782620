"""Values of spreadsheets as the sheet shows them: `00000`, `0.0%`, `#,##0.00 "kg"`, `dd.mm.yyyy`.

Readers of spreadsheets give a number and its format. Separators are those of the file: a point and commas. A format
that depends on the reader's country (Excel's short date) is written as ISO 8601.
"""

import functools
import re
from datetime import date, datetime, time, timedelta
from typing import Any

_GENERAL = "general"
_LOCAL_DATES = ("mm-dd-yy", "m/d/yyyy", "m/d/yy h:mm", "m/d/yy")  # Excel shows them as the reader's country does
# a quoted text, an escaped character, padding, a colour, condition or currency in brackets, or one character
_TOKEN = re.compile(r'"([^"]*)"|\\(.)|_.|\*.|\[\$([^\]-]*)[^\]]*\]|\[(?:h+|m+|s+)\]|\[[^\]]*\]|E[+-]0+|AM/PM|A/P|'
                    r"General|\.0+|[yY]+|[mM]+|[dD]+|[hH]+|[sS]+|.", re.IGNORECASE)  # fmt: skip
_DIGITS = re.compile(r"[0#?][0#?,]*(?:\.[0#?]*,*)?|\.[0#?]+")
_DATE_PARTS = ("h", "hh", "s", "ss", "d", "dd", "yy", "yyyy", "mmm", "mmmm")
_STRFTIME = {
    "yyyy": "%Y", "yy": "%y", "mmmm": "%B", "mmm": "%b", "mm": "%m", "m": "{0.month}", "dddd": "%A", "ddd": "%a",
    "dd": "%d", "d": "{0.day}", "ss": "%S", "s": "{0.second}",
}  # fmt: skip


def shown(value: Any, number_format: str) -> str:
    """A cell's value in its format; the value itself where the format cannot be read."""
    if value is None:
        return ""
    if isinstance(value, bool | str):
        return str(value).upper() if isinstance(value, bool) else value
    if isinstance(value, datetime | date | time | timedelta):
        return _moment(value, number_format)
    if number_format == "General":  # nearly all cells
        return _plain(value)
    section = _section(float(value), number_format)
    return _number(value, *section) if section else _plain(value)


def _plain(value: float | int) -> str:
    """As a cell without a format shows it: 15 digits, because the last ones of a float are noise."""
    if isinstance(value, int) or (value.is_integer() and abs(value) < 1e15):
        return str(int(value))
    return f"{value:.15g}"


def _section(value: float, number_format: str) -> tuple[list[re.Match[str]], bool] | None:
    """The tokens of the part of the format for this value, and whether the part writes the sign itself."""
    sections = _sections(number_format)
    if any(re.match(r"\[[<>=]", token[0]) for token in sections[0]):
        return None
    at = 1 if value < 0 and len(sections) > 1 else 2 if value == 0 and len(sections) > 2 else 0
    return sections[at], at == 1


@functools.lru_cache(maxsize=200)
def _sections(number_format: str) -> list[list[re.Match[str]]]:
    sections: list[list[re.Match[str]]] = [[]]
    for token in _TOKEN.finditer(number_format):
        if token[0] == ";":
            sections.append([])
        else:
            sections[-1].append(token)
    return sections


def _number(value: float | int, tokens: list[re.Match[str]], has_sign: bool) -> str:
    """The number in the format's digits, with the text around them."""
    texts = [_literal(token) for token in tokens]
    pattern = "".join("" if text is not None else token[0] for token, text in zip(tokens, texts, strict=True))
    if pattern.lower().startswith(_GENERAL):
        digits, at = _plain(abs(value) if has_sign else value), [t[0].lower() for t in tokens].index(_GENERAL)
        return "".join(digits if number == at else text or "" for number, text in enumerate(texts)).strip()
    found = _DIGITS.search(pattern)
    if found is None and texts and any(texts):
        return "".join(text or "" for text in texts).strip()  # the format replaces the number by a text
    if found is None or "/" in pattern or "e" in pattern.lower():
        return _plain(value)
    if len(_DIGITS.findall(pattern)) > 1:
        return _spread(value, [text or token[0] for token, text in zip(tokens, texts, strict=True)])
    amount = abs(value) if has_sign else value
    amount = amount * 100 ** pattern.count("%") / 1000 ** (len(found[0]) - len(found[0].rstrip(",")))
    digits = _grouped(amount, found[0].rstrip(","))
    parts, is_written = [], False
    for token, text in zip(tokens, texts, strict=True):
        if text is not None:
            parts.append(text)
        elif token[0].strip("0#?,.") == "":
            parts.append("" if is_written else digits)
            is_written = True
        else:
            parts.append(token[0])
    return " ".join("".join(parts).split())


def _spread(value: float | int, pieces: list[str]) -> str:
    """The digits one by one in their places, from the right: `000-00-0000`."""
    places = sum(piece in "0#?" for piece in pieces)
    digits = iter(reversed(str(round(abs(value))).rjust(places, "0")))
    return "".join(reversed([next(digits, "") if piece in "0#?" else piece for piece in reversed(pieces)]))


def _literal(token: re.Match[str]) -> str | None:
    """The text that a token writes; None for a token that is part of the pattern."""
    quoted, escaped, currency = token.groups()
    if quoted is not None or escaped is not None or currency is not None:
        return str(quoted if quoted is not None else escaped if escaped is not None else currency)
    if token[0].startswith("_"):
        return " "
    return "" if token[0].startswith(("[", "*")) else None


def _grouped(value: float | int, digits: str) -> str:
    if not value and "0" not in digits:
        return ""
    whole, _, decimals = digits.partition(".")
    least = sum(character == "0" for character in whole)
    text = f"{abs(value):,.{len(decimals)}f}" if "," in whole else f"{abs(value):.{len(decimals)}f}"
    integer, _, fraction = text.partition(".")
    optional = len(decimals) - len(decimals.rstrip("#?"))
    kept = fraction[: len(decimals) - optional] + fraction[len(decimals) - optional :].rstrip("0")
    sign = "-" if value < 0 and float(text.replace(",", "")) else ""
    return sign + integer.rjust(least, "0") + (f".{kept}" if kept else "")


def _moment(value: datetime | date | time | timedelta, number_format: str) -> str:
    """A date, a time or a length of time. Excel stores lengths and times alike; `[h]` tells them."""
    if isinstance(value, timedelta):
        seconds = round(value.total_seconds())
        sign, seconds = "-" if seconds < 0 else "", abs(seconds)
        return f"{sign}{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    if number_format.lower() in _LOCAL_DATES or number_format.lower() in ("", _GENERAL):
        return _iso(value)
    tokens = list(_TOKEN.finditer(number_format.partition(";")[0]))
    names = [token[0].lower() for token in tokens]
    is_short_clock = any(name in ("am/pm", "a/p") for name in names)
    parts = []
    for at, token in enumerate(tokens):
        text = _literal(token)
        parts.append(text if text is not None else _date_part(value, names, at, is_short_clock))
    shown_date = " ".join("".join(parts).split())
    return shown_date if any(character.isdigit() for character in shown_date) else _iso(value)


def _date_part(value: Any, names: list[str], at: int, is_short_clock: bool) -> str:
    name = names[at]
    if name in ("h", "hh"):
        hour = (value.hour + 11) % 12 + 1 if is_short_clock else value.hour
        return f"{hour:0{len(name)}}"
    if name in ("m", "mm") and _is_minute(names, at):
        return f"{value.minute:0{len(name)}}"
    if name in ("am/pm", "a/p"):
        return "AM" if value.hour < 12 else "PM"
    if re.fullmatch(r"\.0+", name):
        return f".{value.microsecond:06}"[: len(name)]
    pattern = _STRFTIME.get(name)
    if pattern is None:
        return "" if name == "@" else name
    return pattern.format(value) if pattern.startswith("{") else value.strftime(pattern)


def _is_minute(names: list[str], at: int) -> bool:
    """Whether an `m` behind hours or before seconds means minutes and not months."""
    before = next((name for name in reversed(names[:at]) if name in _DATE_PARTS), "")
    after = next((name for name in names[at + 1 :] if name in _DATE_PARTS), "")
    return before.startswith("h") or after.startswith("s")


def _iso(value: datetime | date | time) -> str:
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d" if value.time() == time() else "%Y-%m-%d %H:%M:%S")
    return value.isoformat()
