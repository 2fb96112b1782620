"""Transcripts and subtitles (.vtt, .srt): what was said and by whom, without numbers, times and layout."""

import re
from html import unescape

from spark_jobs.formats.document import ExtractedText
from spark_jobs.formats.text import text_format

_TIMES = re.compile(r"\s*(?:(\d+):)?(\d{1,2}):(\d{2})[.,]\d{3}\s+-->\s")
_VOICE = re.compile(r"<v(?:\.[^ >]*)?\s+([^>]*)>")
_TAG = re.compile(r"</?[a-z][^<>]*>|<[\d:.]+>|\{\\[^{}]*\}", re.IGNORECASE)
_MAX_PARAGRAPH = 700  # characters of one speaker; a paragraph is what a chunk keeps together
_NO_CUES = ("NOTE", "STYLE", "REGION", "WEBVTT")


def read_transcript(text: str) -> ExtractedText:
    """Paragraphs, each behind the time at which it begins and the speaker, where one is named."""
    paragraphs: list[tuple[str, str, str]] = []  # time, speaker, words
    for cue in re.split(r"\n[ \t]*\n", text.replace("\r\n", "\n").replace("\r", "\n")):
        lines = cue.strip("\n").split("\n")
        place = next((number for number, line in enumerate(lines[:2]) if _TIMES.match(line)), None)
        if place is None:
            if not lines[0].startswith(_NO_CUES) and (words := _words(lines)) and not words.isdecimal():
                paragraphs.append(("", "", words))
            continue
        voice = _VOICE.search(cue)
        speaker = unescape(voice[1]).strip() if voice else ""
        words = _words(lines[place + 1 :])
        if not words or (paragraphs and paragraphs[-1][2].endswith(words)):  # live captions repeat their last line
            continue
        if paragraphs and paragraphs[-1][1] == speaker and len(paragraphs[-1][2]) + len(words) < _MAX_PARAGRAPH:
            time, _, before = paragraphs.pop()
            paragraphs.append((time, speaker, f"{before} {words}"))
        else:
            paragraphs.append((_time(lines[place]), speaker, words))
    return ExtractedText("\n\n".join(map(_paragraph, paragraphs)), "")


def _words(lines: list[str]) -> str:
    return " ".join(unescape(_TAG.sub("", " ".join(lines))).split())


def _time(line: str) -> str:
    match = _TIMES.match(line)
    assert match
    return f"{int(match[1] or 0)}:{int(match[2]):02d}:{match[3]}"


def _paragraph(paragraph: tuple[str, str, str]) -> str:
    time, speaker, words = paragraph
    return " ".join(filter(None, (f"[{time}]" if time else "", f"{speaker}:" if speaker else "", words)))


FORMATS = (text_format("transcript", (".vtt", ".srt"), read_transcript, ("text/vtt",)),)
