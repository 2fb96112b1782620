"""The two things that a question compares, as the asker wrote them."""

import re

_THING = r"[^?!.,;]{1,80}?"
_END = r"(?=\s*(?:[?!.;,]|\b(?:pls|plz|please|bitte|for|in|when|and (?:when|which|what|why|how)|für|bei|wenn)\b|\Z))"
_BETWEEN = (
    ("difference between", "and"),
    ("differences between", "and"),
    ("unterschied zwischen", "und"),
    ("unterschiede zwischen", "und"),
    ("différence entre", "et"),
    ("diferencia entre", "y"),
    ("compare", "(?:and|with|to|vs\\.?|versus)"),
    ("vergleiche", "(?:und|mit)"),
    ("vergleich", "(?:und|mit)"),
    ("diff(?:erence)?(?: of)?", "(?:and|vs\\.?|versus|to|from)"),
    ("comparison (?:of|between)", "(?:and|with|to)"),
    ("compara", "(?:y|con)"),
)
_PATTERNS = [
    re.compile(rf"\b{begin}\s+({_THING})\s+{joint}\s+({_THING}){_END}", re.IGNORECASE) for begin, joint in _BETWEEN
]
_VERSUS = re.compile(
    rf"([\w.+#/-]+(?: [\w.+#/-]+)?)\s+(?:vs\.?|versus|gegen|oder|or|ou)\s+({_THING}){_END}", re.IGNORECASE
)
_ARTICLE = re.compile(r"^(?:the|a|an|der|die|das|dem|den|einem?|einer|le|la|les|el|los|las)\s+", re.IGNORECASE)


def sides_of(question: str) -> list[str]:
    """The first and the second thing; empty where the question does not set two things side by side."""
    for pattern in (*_PATTERNS, _VERSUS):
        if match := pattern.search(question):
            sides = [_ARTICLE.sub("", side.strip(" \"'“”`")) for side in match.groups()]
            if all(sides) and sides[0].lower() != sides[1].lower():
                return sides
    return []
