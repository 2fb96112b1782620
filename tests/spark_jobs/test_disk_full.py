"""A warehouse whose disk is full: the run fails and says so, the tables stay as they were, the next run makes good.

The disk is a tmpfs of a few megabytes, which needs the right to mount one. `make test-long` runs this.
"""

import random
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from lakehouse.settings import Settings
from lakehouse.tables import CHUNKS, DOCUMENTS
from tests.spark_jobs.house import LOAD, House

pytestmark = [pytest.mark.integration, pytest.mark.long, pytest.mark.timeout(1800)]

DISK = 16_000_000
LEFT = 400_000


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK}", "none", folder], capture_output=True)
    if mounted.returncode:
        pytest.skip(f"no disk to fill: {mounted.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def words(seed: int) -> str:
    """A third of a megabyte that no codec makes small."""
    chance = random.Random(seed)  # noqa: S311  to be repeated, not to be secret
    return " ".join(chance.randbytes(5).hex() for _ in range(30_000))


def test_a_full_disk_loses_nothing_and_the_next_run_makes_good(small_disk: Path, tmp_path: Path) -> None:
    documents = tmp_path / "documents"
    documents.mkdir()
    (documents / "first.md").write_text("# First\n\nThe first plan.")
    memory = {"spark_driver_memory": "1g"}
    full = House(Settings(home=tmp_path, warehouse=str(small_disk), **memory), source=str(documents))
    full.run(LOAD, documents, "day1")
    before = full.tables()
    assert len(before[CHUNKS.name]) == 1

    for n in range(6):
        (documents / f"plan-{n}.md").write_text(f"# Plan {n}\n\n{words(n)}")
    ballast = small_disk / "ballast"
    free = int(subprocess.check_output(["df", "--output=avail", "-B1", small_disk]).split()[-1])
    ballast.write_bytes(bytes(free - LEFT))
    assert full.start(LOAD, documents, "day2").wait() == 1
    assert "a disk is full: No space left on device" in full.log.read_text()
    assert full.tables() == before

    ballast.unlink()
    full.run(LOAD, documents, "day3")
    (tmp_path / "roomy").mkdir()
    roomy = House(Settings(home=tmp_path / "roomy", **memory), source=str(documents))
    roomy.run(LOAD, documents, "day3")
    healed = full.tables()
    assert len(healed[DOCUMENTS.name]) == 7
    assert healed == roomy.tables()
