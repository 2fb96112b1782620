"""The console and the API docs work offline and let the browser load nothing from elsewhere."""

import json
import re
import shutil
import subprocess

import pytest

from serving.http.pages import CONSOLE, SWAGGER


@pytest.mark.parametrize("path", ["/", "/docs"])
async def test_a_page_loads_only_what_the_gateway_serves(gateway, path):
    page = await gateway.http.get(path)
    loaded = re.findall(r'(?:src|href)="([^"]+)"', page.text)

    assert page.headers["content-type"].startswith("text/html")
    assert "script-src 'self';" in page.headers["content-security-policy"]
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert loaded
    for address in loaded:
        assert address.startswith("/")
        response = await gateway.http.get(address)
        assert response.status_code == (503 if address == "/readyz" and gateway.parts.down else 200), address


@pytest.mark.parametrize("name", sorted(file.name for file in CONSOLE.iterdir() if file.suffix != ".html"))
async def test_an_asset_names_no_other_host(gateway, name):
    asset = await gateway.http.get(f"/console/{name}")

    assert asset.status_code == 200
    assert asset.headers["x-content-type-options"] == "nosniff"
    assert re.findall(r"https?://(?!www\.w3\.org/2000/svg)", asset.text) == []


def test_swagger_ui_still_lies_where_bentoml_puts_it():
    assert {"swagger-ui-bundle.js", "swagger-ui.css"} <= {file.name for file in SWAGGER.iterdir()}


def test_the_console_writes_text_as_text():
    script = "".join(file.read_text() for file in CONSOLE.glob("*.js") if file.name != "docs.js")

    for sink in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("):
        assert sink not in script


@pytest.mark.parametrize("path", ["/console/../gateway.py", "/console/%2e%2e/gateway.py", "/console/nothing.js"])
async def test_nothing_beside_the_assets_is_served(gateway, path):
    response = await gateway.http.get(path)

    assert response.status_code == 404
    assert response.headers["content-type"] == "application/problem+json"


async def test_every_input_of_the_console_has_a_label(gateway):
    page = (await gateway.http.get("/")).text
    inputs = re.findall(r'<(?:input|select|textarea) id="(\w+)"', page)

    assert len(inputs) == 8
    assert set(inputs) <= set(re.findall(r'<label[^>]* for="(\w+)"', page))


# A fake browser: prints the text of a passage's list item, a line a block.
_PAGE = """
import { passageItem } from "./passages.mjs";
const parts = (node) => typeof node === "string" ? node : node.parts.map(parts).join("");
const element = (tag, text) => {
  const node = { tag, parts: text == null ? [] : [text] };
  node.append = (...more) => node.parts.push(...more);
  node.prepend = (...more) => node.parts.unshift(...more);
  node.setAttribute = () => {};
  return node;
};
const item = passageItem(JSON.parse(process.argv[2]), element);
console.log(item.parts.map(parts).join("\\n"));
"""


@pytest.mark.skipif(shutil.which("node") is None, reason="needs Node.js")
def test_a_found_passage_tells_in_words_how_it_was_found(tmp_path):
    (tmp_path / "passages.mjs").write_text((CONSOLE / "passages.js").read_text())
    (tmp_path / "page.mjs").write_text(_PAGE)
    passage = {
        "title": "Ada Brook",
        "doc_id": "people/brook",
        "text": "She was born in Lund.",
        "probability": 0.834,
        "path": [
            {"title": "Harrow Bridge", "how": "names", "via": "ada brook"},
            {"title": "Ada", "how": "continues", "via": ""},
        ],
        "covers": ["born", "town"],
    }

    def read(document):
        command = ["node", str(tmp_path / "page.mjs"), json.dumps(document)]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()

    assert read(passage) == [
        "Ada Brookpeople/brookneeded with 83 %",
        "She was born in Lund.",
        "Harrow Bridge names “ada brook”Ada leaves the rest to the nextthis passage",
        "Covers of the question: born town ",
    ]
    assert read(passage | {"path": [], "covers": [], "probability": 0.001}) == [
        "Ada Brookpeople/brookneeded with less than 1 %",
        "She was born in Lund.",
        "Found by the question itself.",
    ]
    assert read(passage | {"probability": None, "path": [], "covers": []}) == [
        "Ada Brookpeople/brook",
        "She was born in Lund.",
    ]


_TREE = """
import { taskTree } from "./tree.mjs";
const text = (nodes) => nodes.map(({ step, critical, subTask, nodes }) =>
  subTask ? `${subTask}[${text(nodes)}]` : step.agent + (critical ? "*" : "")).join(" ");
const tree = taskTree(JSON.parse(process.argv[2]));
console.log(text(tree));
console.log(JSON.stringify(tree.filter((node) => node.subTask).map(({ subTask, ms, usd }) => [subTask, ms, usd])));
"""


@pytest.mark.skipif(shutil.which("node") is None, reason="needs Node.js")
def test_the_steps_of_an_answer_are_a_tree_with_its_critical_path(tmp_path):
    """As `lakehop trace` draws it: sub-tasks side by side, a retry, a note that took no time."""
    (tmp_path / "tree.mjs").write_text((CONSOLE / "tree.js").read_text())
    (tmp_path / "page.mjs").write_text(_TREE)

    def step(agent, second, ms, sub_task=None, usd="0.0000000000"):
        began = None if second is None else f"2026-11-03T12:00:{second:09.6f}Z"
        return {"agent": agent, "sub_task": sub_task, "started_at": began, "latency_ms": ms, "usd": usd}

    steps = [
        step("plan", 0, 100),
        step("board", None, 0),
        step("search", 0.1002, 0.3, "a"),
        step("search", 0.1001, 40, "b"),
        step("read", 0.1006, 30, "a", "0.25"),
        step("read", 0.141, 59, "b", "0.25"),
        step("read", 0.131, 169, "a", "0.25"),
        step("board", None, 0, "a"),
        step("conclude", 0.3001, 50),
    ]
    command = ["node", str(tmp_path / "page.mjs"), json.dumps(steps)]
    text, branches = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()

    assert text == "plan* board a[search* read* read* board] b[search read] conclude*"
    assert [(name, round(ms, 3), usd) for name, ms, usd in json.loads(branches)] == [
        ("a", 199.8, 0.5),
        ("b", 99.9, 0.25),
    ]
