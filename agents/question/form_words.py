"""Patterns of the forms of answers, one a line: English, German, French, Spanish, some Chinese and Japanese.

They match a question in lower case with contractions written out (`agents.question.wording.asked_plainly`). A word in
`<…>` stands for one of the parts below.
"""

import re

_PARTS = {
    # Where a clause begins: a question may follow a sentence, or the description of what happened.
    "<begin>": r"(?:^|[.?!:;,…]\s*(?:and |und |et |y |but |so |also )?|\b(?:and|und|et|know|see|find out) )¿?",
    "<who>": r"(?:i|we|you|one|they|someone|people)",
    "<may>": r"(?:do|does|can|could|should|would|may|must|might|shall)",
    "<preposition>": r"(?:(?:by|to|from|for|with|of|in|at|on|under|until|since|unter|in|von|mit|seit|auf) )?",
    "<word>": r"(?!(?:is|was|are|were|do|does|did|has|have|of|the)\b)[\w'./-]+",
    "<plural>": r"(?!(?:is|was|does|has|this|its)\b)[\w./-]+(?<![sui])s",
    "<act>": (
        r"(?:install|set ?up|configure|deploy|upgrade|downgrade|uninstall|migrate|enable|disable|fix|troubleshoot|"
        r"debug|back ?up|restore|scale|connect|create|delete|remove|build|start|stop|restart|reset|request)"
    ),
    "<quantity>": (
        r"(?:number|count|total|sum|amount|size|maximum|minimum|max|min|percentage|average|price|cost|length|limit|"
        r"dimensions?|port|timeout|duration|interval|rate)"
    ),
    "<runs>": (
        r"(?:"
        r"are|have|do|can|could|should|must|need|run|work|support|use|exist|require|depend|allow|count|"
        r"apply|offer|come|get|go|take|accept|belong|contain|i|we|you"
        r")"
    ),
    "<things>": (
        r"(?:"
        r"types|options|kinds|requirements|prerequisites|components|reasons|ways|limits|limitations|"
        r"features|methods|modes|levels|tools|benefits|rules|roles|channels|parts|fields|parameters|"
        r"metrics"
        r")"
    ),
    "<better>": r"\b(?:better|best|recommended|prefer(?:red|able)?|faster|cheaper|besser|schneller|mieux|mejor)\b",
    "<article>": r"(?:an? |the |ein |eine |der |die |das |une? |le |la |el |una )?",
}


def _any_of(lines: str) -> re.Pattern[str]:
    for name, part in _PARTS.items():
        lines = lines.replace(name, part)
    return re.compile("|".join(f"(?:{line.strip()})" for line in lines.splitlines() if line.strip()))


SUMMARY = _any_of(r"""
    \bsummar(?:y|ise|ize|ies|ising|izing)\b|\btl;?dr\b|\boverview\b|\bin (?:simple|short|plain|a few) (?:terms|words)\b
    \bzusammenfassung\b|\bfass\w*\b.*\bzusammen\b|\büberblick\b|\brésum(?:é|e|er|ez)\b|^resum(?:e|en|ir|a)\b
    总结|概述|概要|要約
""")
IS_THERE_A_WAY = _any_of(r"""
    \bis there (?:\w+ )?(?:way|procedure|process|method)\b|\bwhat is the (?:\w+ )?way (?:to|of)\b
    \bgibt es (?:eine|irgendeine) (?:möglichkeit|weg)\b|\by a-t-il (?:un|une) (?:moyen|façon)\b
    \bhay (?:alguna )?(?:forma|manera)\b
""")
YES_NO = _any_of(r"""
    ^(?:if|whether|ob) \w+ (?!.*\bor\b(?! not))|\bor not\W*$
    (?:^|[.?!,]\s)(?:not )?(?:am|may|must|shall) \w+(?!.*\bor\b)
    (?:^|[.?!,]\s)can you (?!tell|show|explain|list|give|help|name|describe|compare|summari)(?!.*\bor\b)
    是否|吗[?？]?$|ますか[?？]?$|できますか|ですか[?？]?$
""")
COMPARISON = _any_of(r"""
    \bvs\b|\bversus\b|\bcompare[ds]?\b|\bcomparing\b|\bcomparison\b|\bpros and cons\b|\btrade-?offs?\b
    \b(?:diff|differences?)\b(?! (?:in|of) \w*\s?(?:age|years?|days?|number|price|size|population|time|height|length)\b)
    \bdiffers? (?:from|to)\b|\bhow (?:do|does|are|is) .* (?:differ|different)\b
    \bunterschiede?\b|\bvergleich(?:e|en|t)?\b|\bunterscheide[tn]\b|\bgegenüber\b
    \bdifférences?\b|\bcompar(?:er|ez|ar|a|aison|ación)\b|\bdiferencias?\b
    <better>(?! known).* (?:or|oder|ou|o) \S+\W*$
    <better>(?! known).* or .* (?:for|to|when|if)\b
    \b(?:should|do|shall|would) (?:i|we|you) (?:\w+ )?(?:use|choose|pick|take|prefer|go (?:for|with)).* or\b
    \b(?:use|choose|take) .* (?:instead of|rather than|over)\b|\b(?:soll|nehme) ich .* oder\b
    区别|差别|不同|对比|比较|違い|比較
""")
STEPS = _any_of(r"""
    \bhow (?:<may> <who>|to|am i (?:supposed|meant) to)\b(?! (?:know|find out) (?:who|when|which))
    \b(?:steps?|instructions?|checklist) (?:to|for|on)\b|\bwalk me through\b|^(?:an? )?(?:guide|tutorial|walkthrough)\b
    \bwhat (?:<may> <who> (?:need to |have to |got to )?(?:check|do|try|look at|change|run)|to (?:do|check|try))\b
    \bwhat is the (?:procedure|process|workflow)\b
    \bwie (?:kann|muss|soll|könnte|darf|\w+e) (?:ich|man)\b|\bwie \w+en wir\b|\banleitung\b
    \bwas (?:muss|kann|soll|mache) (?:ich|man)\b
    \bcomment (?:puis-je|dois-je|peut-on|on peut|je |\w+(?:er|ir|re)\b(?<!marche))
    \bque (?:dois|puis)-je (?:faire|vérifier)\b
    \bc[óo]mo (?:puedo|debo|podemos|se (?!llama)|\w+(?:ar|er|ir)\b)
    \bqu[ée] (?:debo|puedo|tengo que) (?:hacer|revisar)\b
    \bcómo \w+o\b
    如何|怎么|怎麼|怎样|どうやって|どうすれば|方法|手順|やり方
    ^(?:\w+ )?(?:<act>|installation|setup) (?!.*(?:\?|\b(?:is|are|was)\b))
    \bget .* (?:working|running|fixed|installed)\b
""")
REASON = _any_of(r"""
    \bwhy\b|\bhow come\b|<begin>(?:explain|describe)\b|\bexplain (?:how|why|what|the|me|to me)\b|^explanation\b
    \bwhat is going on\b
    ^tell me (?:\w+ )?about\b|\b(?:know|understand|learn|info|information) (?:\w+ )?(?:about|on)\b
    \bwarum\b|\bwieso\b|\bweshalb\b|\bwozu\b|\bwofür\b|\berklär\w*\b|\bbeschreib\w*\b
    \bpourquoi\b|\bexpli(?:que|quer|quez|ca|car|came)\b|\bà quoi (?:ser(?:t|vent)|bon)\b|\bpor qu[ée] |\bpara qu[ée] 
    为什么|為什麼|什么是|是什么|解释|说明|なぜ|どうして|とは|説明
""")
ALL_OF_THEM = _any_of(r"""
    \bwhich ones\b|\b(?:all|every one) of (?:them|these|those)\b|\b(?:full|complete|whole) list\b|\blist of\b|^list\b
    <begin>(?:list|enumerate) (?:all|every|the|me)\b|\bwho all\b|\bwhat all\b
    <begin>(?:name|give|show|tell)(?: me)? (?:all|every|each|some|a list|two|three|five|\d+)\b
    <begin>(?:name|give|show|tell)(?: me)? the \w+s (?:that|which|of|for)\b
    \b(?:alle|sämtliche) \w+|\bliste\b|^(?:nenne?|zähle?)\b|\btou(?:te)?s (?:les|ceux)\b
    \b(?:todos los|todas las|lista|enumera)\b
    哪些|列出|所有|一覧|すべて|全部
""")
NUMBER = _any_of(r"""
    \bhow (?:many|much|long|often|big|large|far|old|tall|high|deep|wide|fast|early|late|soon|quickly|heavy)\b
    \bwhat (?:is |was |are )?(?:the |my |our )?(?:\w+ ){0,2}<quantity>\b|\bdifference in\b
    ^(?:the )?(?:default |max\w* |min\w* )?<quantity>\b
    \bwie ?(?:viele?r?|lange|oft|groß|gross|hoch|weit|alt|schnell)\b|\bcombien\b
    \bquelle est la (?:taille|durée|limite)\b
    \bcu[áa]nt[oa]s?\b|多少|几个|いくつ|何(?:個|人|日|回|件)|いくら
""")
FACT = _any_of(r"""
    ^<preposition>(?:who|whose|whom|when|where|wer|wem|wann|wo|qui|quand|où|quién|cuándo|dónde)\b
""")
NAMED = _any_of(r"""
    \b(?:which|what|who|whose|where|when|welche\w*|wer|wo|wann|quel\w*|qui|où|qué|quién|dónde)\b
""")
LIST = _any_of(r"""
    <begin><preposition>(?:which|what)(?: <word>){0,3}? <plural>(?: <preposition>(?:the )?<word>)? <runs>\b
    <begin>what (?:kinds?|types?|sorts?) of \w+s\b|<begin>what (?:other|different|supported|available|possible) \w+s\b
    <begin>which \w+ ?\w*s (?:with|for|by|on|in|under) \w+\W*$|\bwhat do <who> need\b
    \bwhat is (?:needed|required|included)\b
    \bwhat are (?:all |some |my |our )?(?:of )?(?:the )?(?:[\w-]+ ){0,2}<things>\b
    \bwas (?:brauche|benötige) ich\b|\bwas für \w+en\b|\bwelche (?:\S+ ){1,4}?(?:sind|haben|gibt es|\w{3,}en)\b
    \b(?:quels|quelles) (?!est)\w+|\bcu[áa]les\b|\bqu[ée] \w+s (?:de \w+ )?(?:hay|son|se|puedo|tiene|admite|soporta)\b
""")
EXPLANATION = _any_of(r"""
    \bwhat (?:is|are|was) .*\bfor\W*$
    \bwhat (?:does|do|did|would|will) .* (?:mean|do|stand for|change|affect|say about)\b
    \bwhat is (?:the |a )?(?:\w+ )?(?:point|purpose|idea|role|reason|policy|deal|rule|concept|background)\b
    \bmeaning of\b
    <begin>how \w|\bhow .* works?\b|\bwhat happens\b|\bwhat about\b
    <begin>what (?:is|are) <article>(?!the\b)[\w./+-]+(?: [\w./+-]+){0,2}(?<!name)(?<!licen[cs]e)\W*$
    \bwas (?:bedeutet|macht|heißt|passiert)\b|\bwas (?:ist|sind) <article>[\w./-]+\W*$
    \bwie (?:funktioniert|läuft|wird|werden)\b
    \bqu['’ ]?est[- ]ce que? (?:c['’]est|une?|le|la|l['’])|\bcomment (?:fonctionne|marche)\b|\bque fait\b
    \bqu[ée] (?:es|son|significa|hace) <article>[\w./-]+\W*$|\bc[óo]mo funciona\w*\b
""")
TROUBLE = _any_of(r"""
    \b(?:keeps?|kept) \w+ing\b|\b(?:is|gets?|got|are|am) stuck\b|\bstuck (?:at|in|on)\b|\bhangs?\b
    \bcrash(?:es|ed|ing)\b
    \bnot work(?:s|ing)?\b|\b(?:does|do|will|can|could) not \w+|\blocked out\b|\bforgot(?:ten)? (?:my|the)\b|\blost my\b
    \bfail(?:s|ed|ing)?\W|\bfail(?:s|ed|ing)?$|\bbroken\b|\btime[sd]? ?out\b|\berror\b
    \b(?:geht|funktioniert|startet|lädt) nicht\b|\bhängt\b|\bfehler\b
    \bne (?:marche|fonctionne|démarre) (?:pas|plus)\b|\bno (?:funciona|arranca|conecta)\b
    报错|错误|エラー
""")
ASKS = _any_of(r"""
    \b(?:who|whose|whom|what|which|when|where|why|how|is|are|was|were|do|does|did|can|could|should|will|would)\b
    \b(?:has|have|may)\b
    \b(?:wer|was|wie|wo|wann|warum|welche\w*|ist|sind|kann|muss|darf|gibt|hat)\b
    \b(?:qui|que|quoi|quel\w*|comment|pourquoi|quand|où|combien|est|peut)\b|qu['’]
    \b(?:quién|qué|cuál\w*|cómo|cuándo|dónde|cuánt\w*|puedo|es|hay)\b|[？吗呢かの什怎哪]
""")
