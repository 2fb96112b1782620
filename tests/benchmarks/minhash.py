"""Our MinHash beside datasketch: processor time for short and long texts, and memory for one very long text.

    python -m tests.benchmarks.minhash CORPUS.jsonl      # lines with a "text"

datasketch runs as its documentation shows: `update_batch` with all shingles of a text and the default scheme.
"""

import json
import re
import statistics
import unicodedata
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path
from resource import RUSAGE_SELF, getrusage
from time import process_time

import click
import datasketch
import numpy as np

from spark_jobs.documents.minhash import HASHES, WORDS, minhash

_WORD = re.compile(r"[^\W_]+")
_EMPTY = datasketch.MinHash(num_perm=HASHES)  # copies share its permutations
_ROUNDS = 5
_JOINED = 50  # passages that make one long text
_LONG_WORDS = 400_000  # 5 MB


def peer(text: str) -> np.ndarray:
    """The signature by datasketch, of the same runs of words."""
    words = _WORD.findall(unicodedata.normalize("NFKC", text).casefold())
    runs = {" ".join(words[start : start + WORDS]).encode() for start in range(max(1, len(words) - WORDS + 1))}
    sketch = _EMPTY.copy()
    sketch.update_batch(list(runs))
    return sketch.hashvalues


def seconds(signature: Callable[[str], np.ndarray], texts: list[str]) -> float:
    begun = process_time()
    for text in texts:
        signature(text)
    return process_time() - begun


def peak_mib(signature: Callable[[str], np.ndarray]) -> float:
    """Memory that the signature of a text of 5 MB adds to its process."""
    text = " ".join(f"word{number}" for number in range(_LONG_WORDS))
    before = getrusage(RUSAGE_SELF).ru_maxrss
    signature(text)
    return (getrusage(RUSAGE_SELF).ru_maxrss - before) / 1024


@click.command()
@click.argument("corpus", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def main(corpus: Path) -> None:
    """Print ratios of processor time (median of interleaved rounds), and peak memory."""
    passages = [json.loads(line)["text"] for line in corpus.read_text(encoding="utf-8").splitlines()[:600]]
    joined = ["\n".join(passages[start : start + _JOINED]) for start in range(0, len(passages), _JOINED)]
    print(f"datasketch {datasketch.__version__}")
    for texts in (passages, joined):
        pairs = [(seconds(minhash, texts), seconds(peer, texts)) for _ in range(_ROUNDS)]
        ratio = statistics.median(theirs / ours for ours, theirs in pairs)
        characters = sum(map(len, texts)) / len(texts)
        rate = len(texts) / statistics.median(ours for ours, _ in pairs)
        print(f"texts of {characters:,.0f} characters: ours {rate:,.0f} a second, peer/ours {ratio:.2f}")
    for signature in (minhash, peer):
        with get_context("spawn").Pool(1) as process:
            print(f"{signature.__name__}: {process.apply(peak_mib, (signature,)):.0f} MiB for a text of 5 MB")


if __name__ == "__main__":
    main()
