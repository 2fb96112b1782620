"""Questions as people type them: contractions written out, greetings and politeness left out.

Pure functions of the text. Filler is dropped at the ends of a question, and inside it only where no name can be meant:
*Hey Jude* and *Please Please Me* are names.
"""

import re

from lakehouse.text.folding import plain

# Typed without their apostrophe; with it, `t` and `s` would be words of their own.
_VERBS = "is are was were do does did has have had could would should must"
_CONTRACTIONS = (
    {f"{verb}nt": f"{verb} not" for verb in _VERBS.split()}
    | {f"{word}s": f"{word} is" for word in ("what", "where", "who", "how", "that", "there")}
    | {"cannot": "can not", "cant": "can not", "wont": "will not", "aint": "is not", "howto": "how to", "u": "you"}
    | {"im": "i am", "ive": "i have", "youre": "you are", "theyre": "they are", "gimme": "give me", "wanna": "want to"}
    | {"wats": "what is", "waht": "what", "wich": "which", "whch": "which", "hwo": "how"}
    | {"w/o": "without", "w/": "with", "b/c": "because", "cuz": "because"}
)
_SHORT = re.compile(
    rf"(?<![\w.'/-])(?:{'|'.join(map(re.escape, sorted(_CONTRACTIONS, key=len, reverse=True)))})(?![\w'/-]|\.\w)"
)
# In lower case alone: *It's a Wonderful Life* and *Don't Look Back* are names.
_WITH_APOSTROPHE = re.compile(
    r"\b(?:(?:what|where|who|how|when|that|there|it)['’]s|[a-z]{2,6}n['’]t|i['’](?:m|ve|d|ll)|"
    r"(?:you|we|they)['’](?:re|ve|d|ll))\b"
)
_AFTER_APOSTROPHE = {"s": "is", "m": "am", "re": "are", "ve": "have", "d": "would", "ll": "will"}
_ENDS = r"[\s,.!:;–—-]"
# Said before a question or after it, and nothing of what is asked: English, German, French, Spanish and others.
_GREETING = (
    r"(?:hi|hey|hello|hallo|moin|servus|guten (?:tag|morgen|abend)|good (?:morning|afternoon|evening)|bonjour|salut|"
    r"hola|buen[oa]s (?:días|dias|tardes)|ciao|olá|sorry|excuse me|quick question|stupid question|question|frage)"
    r"(?: (?:there|all|everyone|everybody|team|guys|folks|again|zusammen|à tous|a todos))?"
)
_POLITE = (
    r"(?:please|pls|plz|plss*|kindly|thanks?(?: you)?(?: (?:a lot|so much|in advance|very much))?|thx|ty|tia|asap|"
    r"urgent(?:ly)?|btw|fyi|cheers|any (?:ideas?|help|clues?|hints?)|bitte|danke(?: schön)?|vielen dank|mfg|"
    r"s['’]il (?:vous|te) pla[iî]t|svp|stp|merci(?: d['’]avance)?|por favor|porfa|gracias|per favore|"
    r"grazie|obrigad[oa])"
)
_ASKING = (
    r"(?:(?:can|could|would|will) (?:you|u|someone|somebody|anyone|anybody)(?: please| pls| plz| kindly)?"
    r"(?= (?:tell|show|explain|list|give|name|summari[sz]e|describe|compare|help|let)\b)|help me(?= \w)|"
    r"(?:please |pls |plz )?(?:tell me|let me know|remind me)(?! about)|"
    r"(?:i (?:just |really |also )*(?:want|need|would like|like|d like)|id like|trying|i am trying) "
    r"to (?:know|find out|understand)(?! about)|i (?:was|am) (?:just )?wondering|"
    r"(?:do you|does (?:any(?:one|body)|some(?:one|body))|any(?:one|body)) know|"
    r"(?:kannst du|können sie|könnt ihr|kann (?:mir )?jemand) (?:mir |uns )?(?:bitte )?(?:sagen|erklären|helfen)?|"
    r"ich (?:möchte|will|würde gerne?) (?:gerne? )?wissen|weiß (?:jemand|einer)|"
    r"(?:pouvez-vous|peux-tu|pourriez-vous|tu peux) (?:me |m['’])(?:dire|expliquer)|"
    r"(?:je|j['’]) ?(?:voudrais|veux|aimerais) savoir|"
    r"(?:me )?(?:puedes?|podrías?|podría usted) (?:decirme|decir|explicarme)|qui(?:ero|siera) saber|alguien sabe)"
)
# After a greeting without a comma a capital begins a name: *Hey Jude*.
_GREETED = r"(?=\s*[,.!:;–—-]|\s+(?-i:[a-z¿]|(?:What|How|Who|Where|When|Which|Why|Is|Are|Can|Do|Does|I)\b)|\s*$)"
_BEFORE = re.compile(rf"^{_ENDS}*(?:{_GREETING}{_GREETED}|(?:{_POLITE}|{_ASKING}){_GREETED}){_ENDS}*", re.IGNORECASE)
_AFTER = re.compile(rf"[\s,.!;–—-]+(?:{_POLITE}|{_GREETING})(?P<end>[\s.!?]*)$", re.IGNORECASE)
_INSIDE = re.compile(r"(?<=[\w?]),? (?:pls|plz|please|bitte|svp|porfa)\b")
_OTHER_SCRIPTS = re.compile(
    r"请问|請問|你好[,，!！]?|谢谢|謝謝|すみません(?:が)?[、,]?|教えて(?:ください|下さい)?|お願いします"
)


def written_out(text: str) -> str:
    """The text with contractions written out: *whats*, *what's* → *what is*, *doesnt* → *does not*."""
    text = _WITH_APOSTROPHE.sub(_long_of, text.replace("’", "'"))
    return _SHORT.sub(lambda match: _CONTRACTIONS[match[0]], text)


def without_filler(text: str) -> str:
    """The question without greetings, thanks and *can you tell me*; the text itself where it holds nothing else."""
    rest = _OTHER_SCRIPTS.sub("", _INSIDE.sub("", " ".join(text.split())))
    while (shorter := _AFTER.sub(lambda match: match["end"].strip(), _BEFORE.sub("", rest))) != rest:
        rest = shorter
    return rest.strip(" ,;:-–—") if any(map(str.isalnum, rest)) else text


def asked_plainly(question: str) -> str:
    """A question in lower case, with contractions written out and without filler, for telling what it asks for."""
    return without_filler(written_out(" ".join(plain(question).split()).lower()))


def _long_of(match: re.Match[str]) -> str:
    short = match[0]
    if short.endswith("n't"):
        return {"can't": "can not", "won't": "will not"}.get(short, f"{short[:-3]} not")
    word, _, rest = short.partition("'")
    return f"{word} {_AFTER_APOSTROPHE[rest]}"
