"""Python that a model wrote: returns its result, reaches nothing outside, and always ends."""

import time

import pytest


@pytest.fixture
def run(new_task):
    async def run(code):
        return await new_task().tools.call("python", {"code": code}, hop=1)

    return run


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("sum([1, 2, 3])", "6"),
        ("print('a')\nprint('b')\n3", "a\nb\n3"),
        ("sorted({'b': 2, 'a': 1}.items())", "[('a', 1), ('b', 2)]"),
        ("import datetime\n(datetime.date(2024, 3, 1) - datetime.date(2024, 2, 1)).days", "29"),
    ],
)
async def test_the_last_line_and_what_was_printed_come_back(run, code, said):
    assert (await run(code)).text == said


@pytest.mark.parametrize(
    "code",
    [
        "open('/etc/passwd').read()",
        "from pathlib import Path\nPath('/etc/passwd').read_text()",
        "import os\nstr(os.environ)",
        "import os\nstr(os.listdir('/'))",
        "import socket",
        "import subprocess",
        "__import__('os')",
        "().__class__.__base__.__subclasses__()",
        "import time\ntime.sleep(60)",
        "'x' * 10**9",
        "10 ** 10 ** 8",
        "def f():\n    return f()\nf()",
        "[0] *",
        "x = 1",
        "'\ud800'",
    ],
)
async def test_what_it_may_not_do_is_told_and_harms_nobody(run, code):
    seen = await run(code)

    assert (seen.ok, "root:" in seen.text) == (False, False)
    assert len(seen.text) < 500


@pytest.mark.parametrize(
    "code", ["while True: pass", "while True: print('x' * 999)", "x = []\nwhile True: x.append(x)"]
)
async def test_code_without_end_is_ended(run, code):
    began = time.monotonic()

    seen = await run(code)

    assert not seen.ok
    assert time.monotonic() - began < 8
