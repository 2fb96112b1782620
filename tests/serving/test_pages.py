"""The console and the API docs: whole offline, strict about what the browser may load."""

import re

import pytest

from serving.pages import CONSOLE, SWAGGER


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


@pytest.mark.parametrize("name", ["console.css", "console.js", "docs.js", "icon.svg"])
async def test_an_asset_names_no_other_host(gateway, name):
    asset = await gateway.http.get(f"/console/{name}")

    assert asset.status_code == 200
    assert asset.headers["x-content-type-options"] == "nosniff"
    assert re.findall(r"https?://(?!www\.w3\.org/2000/svg)", asset.text) == []


def test_swagger_ui_still_lies_where_bentoml_puts_it():
    assert {"swagger-ui-bundle.js", "swagger-ui.css"} <= {file.name for file in SWAGGER.iterdir()}


def test_the_console_writes_text_as_text():
    script = (CONSOLE / "console.js").read_text()

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

    assert len(inputs) == 6
    assert set(inputs) <= set(re.findall(r'<label[^>]* for="(\w+)"', page))
