"""The console's modules in Node.js over a fake document: what they draw, and that strangers' text stays text."""

import json
import re
import shutil
import subprocess

import pytest

from serving.http.pages import CONSOLE

pytestmark = pytest.mark.skipif(shutil.which("node") is None, reason="needs Node.js")

# Nodes that print themselves as tags; a text is escaped, as a browser would show it.
_DOCUMENT = r"""
const escape = (text) => text.replace(/</g, "&lt;");
class Node {
  constructor(tag) { Object.assign(this, { tag, parts: [], told: {} }); }
  append(...parts) { this.parts.push(...parts); }
  setAttribute(name, value) { this.told[name] = value; }
  addEventListener(kind, act) { this.act = act; }
  toString() {
    const shown = { href: this.href, dir: this.dir === "ltr" ? "ltr" : undefined, value: this.value, class: this.name };
    const facts = Object.entries(shown).filter(([, value]) => value).map(([name, value]) => ` ${name}=${value}`);
    const inside = this.parts.map((part) => part instanceof Node ? part : escape(part)).join("");
    return `<${this.tag}${facts.join("")}>${inside}</${this.tag}>`;
  }
}
const element = (tag, text, name) => {
  const node = Object.assign(new Node(tag), { name });
  if (text !== undefined && text !== null) node.append(text);
  return node;
};
const given = JSON.parse(process.argv[2]);
"""


@pytest.fixture
def page(tmp_path):
    for script in CONSOLE.glob("*.js"):
        text = re.sub(r'"/console/(\w+)\.js"', r'"./\1.mjs"', script.read_text())
        (tmp_path / f"{script.stem}.mjs").write_text(text)

    def run(imports, expression, given):
        (tmp_path / "page.mjs").write_text(f"{imports}\n{_DOCUMENT}\nconsole.log({expression});")
        command = ["node", str(tmp_path / "page.mjs"), json.dumps(given)]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.rstrip("\n")

    return run


@pytest.fixture
def drawn(page):
    return lambda text: page('import { drawn } from "./markdown.mjs";', "drawn(given, element).join('')", text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("One.\nTwo.\n\nThree.", "<p>One.\nTwo.</p><p>Three.</p>"),
        ("Of `a|b` and **two `c`**.", "<p>Of <code>a|b</code> and <strong>two <code>c</code></strong>.</p>"),
        ("``a`b`` __init__ *x* 2**3 and 4**5", "<p><code>a`b</code> __init__ *x* 2**3 and 4**5</p>"),
        ("f(**kw) and g(**kw)", "<p>f(**kw) and g(**kw)</p>"),
        ("So:\n- a\n  - b\n* c", "<p>So:</p><ul><li>a</li><li class=depth1>b</li><li>c</li></ul>"),
        ("1. a\n   more\n2) b", "<ol><li value=1>a\nmore</li><li value=2>b</li></ol>"),
        (
            "1. a\n```sh\nx | y\n\n- z\n```\n2. b",
            "<ol><li value=1>a</li></ol><div class=code><pre dir=ltr><code>x | y\n\n- z</code></pre></div>"
            "<ol><li value=2>b</li></ol>",
        ),
        ("~~~\n```\n~~~~", "<div class=code><pre dir=ltr><code>```</code></pre></div>"),
        ("```\nnever closed", "<div class=code><pre dir=ltr><code>never closed</code></pre></div>"),
        (
            "|  | x |\n|---|:-:|\n| `p|q` | a \\| b |\n| r |",
            "<div class=table><table><tr><th></th><th>x</th></tr><tr><td><code>p|q</code></td><td>a | b</td></tr>"
            "<tr><td>r</td><td></td></tr></table></div>",
        ),
        ("| no table |", "<p>| no table |</p>"),
        ("-5 °C\n+ 3\n#1", "<p>-5 °C\n+ 3\n#1</p>"),
        ("<b>x</b> [y](javascript:z)", "<p>&lt;b>x&lt;/b> [y](javascript:z)</p>"),
    ],
)
def test_markdown_is_drawn_and_all_else_stays_as_written(drawn, text, shown):
    assert drawn(text) == shown


ANSWER = 'import { answerText, citationItem, remarks, statementEnds } from "./answer.mjs";'
CITATION = {"doc_id": "d", "chunk_id": "c", "quote": "q", "title": "T", "heading": "H", "uri": "https://x.dev/<a>"}


@pytest.mark.parametrize(
    ("answer", "statements", "shown"),
    [
        ("A is so. B is so.", [("A is so.", [0]), ("B is so", [0, 1])], "<p>A is so.[1] B is so.[1][2]</p>"),
        ("- x\n- x", [("x", [0]), ("x", [1])], "<ul><li>x[1]</li><li>x[2]</li></ul>"),
        ("|a|b|\n|---|---|\n| p | q |", [("p | q", [1])], "<tr><td>p</td><td>q[2]</td></tr></table></div>"),
        ("1. a\n```\nx\n```", [("a", []), ("```\nx\n```", [0])], "<code>x</code></pre>[1]</div>"),
        ("A is so.", [("another text", [1])], "<p>A is so.[2]</p>"),
        ("Q1\nBSD\n\nQ2\nnothing", [("BSD", [0])], "<p>Q1\nBSD[1]</p><p>Q2\nnothing</p>"),
    ],
)
def test_the_numbers_of_citations_stand_behind_their_statements(page, answer, statements, shown):
    given = {
        "answer": answer,
        "statements": [{"text": text, "citations": places} for text, places in statements],
        "citations": [CITATION, CITATION],
    }
    text = page(ANSWER, "answerText(given, element, () => {}).join('')", given)
    text = re.sub(r"<span class=notes>(.*?)</span>", r"\1", text)

    assert re.sub(r"<button class=number>(\d)</button>", r"[\1]", text).endswith(shown)


def test_a_copied_fact_is_shown_to_the_letter(page):
    given = {"answer": "`__init__` | **x**", "statements": []}

    assert page(ANSWER, "answerText(given, element).join('')", given) == "<p class=short>`__init__` | **x**</p>"


def test_a_citation_tells_its_place_and_opens_its_passage(page):
    given = CITATION
    opened = "(() => { let one; const item = citationItem(given, element, (c) => { one = c; }); item.parts[0].act(); "
    opened += "return `${item} ${one.chunk_id}`; })()"

    assert page(ANSWER, opened, given) == (
        "<li><button class=link source>T › H</button><span class=id>d</span> "
        "<a href=https://x.dev/<a> class=id>https://x.dev/&lt;a></a><blockquote>q</blockquote></li> c"
    )


@pytest.mark.parametrize("uri", ["javascript:alert(1)", "file:///etc/passwd", " https://x", "data:text/html,x"])
def test_only_an_address_of_the_web_becomes_a_link(page, uri):
    assert "<a" not in page(ANSWER, "citationItem(given, element, () => {})", CITATION | {"uri": uri})


def test_remarks_tell_what_was_understood_read_and_left_out(page):
    given = {
        "question": "Who?",
        "documents_read": 3,
        "documents_left": 2,
        "dropped": ["<i>x</i>"],
        "status": "answered",
    }

    assert page(ANSWER, "remarks(given, element).join('\\n')", given).splitlines() == [
        "<p class=note>Understood as: Who?</p>",
        "<p class=note>Made from 3 documents; 2 more were found and not read.</p>",
        "<details><summary>1 sentence was left out: no passage supports it</summary>"
        "<ul><li>&lt;i>x&lt;/i></li></ul></details>",
    ]


SOURCE = 'import { documentNodes, markedParts, passagePath, placeOf } from "./source.mjs";'


@pytest.mark.parametrize(
    ("text", "quote", "marked"),
    [
        ("a b c", "b", ["a ", "[b]", " c"]),
        ("a\n b (x)", "a b (x)", ["[a\n b (x)]"]),
        ("a.c abc", "abc", ["a.c ", "[abc]"]),
        ("text", "gone", ["text"]),
        ("text", "", ["text"]),
    ],
)
def test_the_quote_is_marked_in_the_text(page, text, quote, marked):
    parts = "JSON.stringify(markedParts(...given).map(({ text, marked }) => marked ? `[${text}]` : text))"

    assert json.loads(page(SOURCE, parts, [text, quote])) == marked


def test_a_passage_is_drawn_between_its_neighbours_with_new_headings(page):
    passage = {
        "text": "one <two>",
        "heading": "H",
        "before": [{"text": "above", "heading": "H"}],
        "after": [{"text": "below", "heading": "I"}],
    }

    assert page(SOURCE, "documentNodes(given, 'one', element).join('\\n')", passage).splitlines() == [
        "<section class=chunk><h3>H</h3><p>above</p></section>",
        "<section class=chunk here><p><mark>one</mark> &lt;two></p></section>",
        "<section class=chunk><h3>I</h3><p>below</p></section>",
    ]


def test_a_passage_is_asked_for_by_its_encoded_id_and_the_rights_of_the_question(page):
    given = ["a/b#c?d é", {"tenant": "acme", "groups": ["x&y", "hr"]}, 3]

    assert page(SOURCE, "passagePath(...given)", given) == (
        "/passages/a%2Fb%23c%3Fd%20%C3%A9?around=3&tenant=acme&groups=x%26y&groups=hr"
    )
    assert page(SOURCE, "passagePath(...given)", ["c", {}, 1]) == "/passages/c?around=1"


def test_a_follow_up_sends_the_last_turns_cut_to_a_length(page):
    history = "(() => { const talk = new Conversation(); for (let at = 0; at < 12; at += 1) talk.add(`q${at}`, given); "
    history += "const sent = talk.history(); talk.clear(); return JSON.stringify([sent, talk.history()]); })()"

    sent, cleared = json.loads(page('import { Conversation } from "./conversation.mjs";', history, "🙂" * 2_001))

    assert [turn["question"] for turn in sent] == [f"q{number}" for number in range(2, 12)]
    assert {turn["answer"] for turn in sent} == {"🙂" * 2_000}
    assert cleared == []
