"""From `lakehop ingest` of one changed document to finding it, on a running local stack.

    lakehop up
    python -m tests.benchmarks.small_change --documents 300 --rounds 5
    LAKEHOP_SPARK_KEEP_DRIVER=false lakehop up, and again for jobs that start a JVM each

Each round changes one document of a folder, ingests that document, and searches until it is found. The first ingest of
the folder is printed beside it, and so is the time of 20 million additions in Python: how fast the machine is today.
"""

import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click

from lakehouse.retrieval.retriever import Retriever
from lakehouse.settings import load_settings
from tests.benchmarks.growth import document


@click.command()
@click.option("--documents", default=300, show_default=True, help="Documents of the tenant.")
@click.option("--rounds", default=5, show_default=True, help="Changes, one after the other.")
def main(documents: int, rounds: int) -> None:
    """Print the seconds of the first ingest and of each change."""
    tenant = f"bench{secrets.token_hex(4)}"
    retriever = Retriever(load_settings())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number in range(documents):
            made = document(number, 0, documents)
            (folder / f"d{number}.md").write_text(f"# {made['title']}\n\n{made['text']}\n")
        print(f"20 million additions: {additions():.1f} s; first ingest: {ingested(folder, tenant, folder):.1f} s")
        seconds = []
        for number in range(rounds):
            word = f"zor{secrets.token_hex(4)}"
            (folder / "d7.md").write_text(f"# Round {number}\n\nThe replica of {word} is in Frankfurt.\n")
            took = ingested(folder, tenant, folder / "d7.md")
            begun = time.perf_counter()
            while word not in "".join(hit.text for hit in retriever.search(tenant, [], word, k=5, mode="lexical")):
                time.sleep(0.2)
            seconds.append(took + time.perf_counter() - begun)
            print(f"change {number + 1}: {seconds[-1]:.1f} s; 20 million additions: {additions():.1f} s", flush=True)
    retriever.close()
    print(f"median {statistics.median(seconds):.1f} s")


def ingested(source: Path, tenant: str, path: Path) -> float:
    """Ingest a path of the folder `source`; seconds of the command."""
    begun = time.perf_counter()
    lakehop = Path(sys.executable).parent / "lakehop"
    command = [str(lakehop), "ingest", str(path), "--tenant", tenant, "--source", source.name]
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - begun


def additions() -> float:
    """Seconds of 20 million additions, about one on an idle core."""
    begun, total = time.perf_counter(), 0
    for number in range(20_000_000):
        total += number
    return time.perf_counter() - begun


if __name__ == "__main__":
    main()
