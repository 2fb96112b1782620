"""Multi-hop retrieval beside what others retrieve with, in one run: recall, milliseconds, seconds to index.

    .venv-bench/bin/python -m tests.benchmarks.retrieval_peers POOL POOL --cache FOLDER

All have the same passages (title and text) and the same vectors of them and of the questions, so the encoder's time is
in none; whatever fuses two rankings takes 50 of each. LlamaIndex and LangChain are tuned as their pages say: stemmed
BM25 where they offer it, reciprocal rank fusion, no questions made by a model. Everything is in memory, and times are
of the processor, so that what else the machine does hits none. Weights of multihop are cross-validated. What a system
found is kept in the cache folder, so that a run cut short goes on.

What pays a language model to read the corpus (LightRAG, HippoRAG, LlamaIndex's property graph) is not here: it needs a
model that writes triples, and there is none without a network. No system here spends a token.
"""

import os

os.environ["TOKENIZERS_PARALLELISM"] = "false"

import json
import logging
import re
import statistics
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import bm25s
import click
import numpy as np

from lakehouse.index.embedding import embedded_text
from lakehouse.index.lexical import BM25_B, BM25_K1, fuse
from lakehouse.retrieval.multihop.candidates import FIRST_DEPTH
from lakehouse.text.terms import terms
from tests.benchmarks.intervals import difference, shown
from tests.benchmarks.pool_index import PoolIndex
from tests.benchmarks.retrieval import CUTS, Prepared, cross_validated

FOUND = max(CUTS)
STANDARD_K = 60
"""Of reciprocal rank fusion, as most have it; ours is 1."""
OURS = "Lakehop multihop"

Retrieve = Callable[[str], list[int]]
"""A question to the numbers of passages, best first."""


def texts(pool: PoolIndex) -> list[str]:
    return [embedded_text(one["title"], (), one["text"]) for one in pool.documents]


def best(scores: np.ndarray, depth: int) -> list[int]:
    return [int(number) for number in np.argsort(-scores, kind="stable")[:depth]]


def encoder(pool: PoolIndex) -> Callable[[str], np.ndarray]:
    """The vector of a question; it was encoded before."""
    return {question.text: question.vector for question in pool.questions}.__getitem__


def dense(pool: PoolIndex, depth: int = FOUND) -> Retrieve:
    encode = encoder(pool)
    return lambda question: best(pool.vectors @ encode(question), depth)


def words(pool: PoolIndex, depth: int = FOUND) -> Retrieve:
    index = bm25s.BM25(method="lucene", k1=BM25_K1, b=BM25_B)
    index.index([terms(text) for text in texts(pool)], show_progress=False)
    known = index.vocab_dict
    return lambda question: best(index.get_scores([term for term in terms(question) if term in known]), depth)


def fusion(pool: PoolIndex) -> Retrieve:
    legs = (dense(pool, FIRST_DEPTH), words(pool, FIRST_DEPTH))

    def retrieve(question: str) -> list[int]:
        scores: dict[int, float] = {}
        for leg in legs:
            for place, number in enumerate(leg(question), 1):
                scores[number] = scores.get(number, 0.0) + 1 / (STANDARD_K + place)
        return sorted(scores, key=lambda number: -scores[number])[:FOUND]

    return retrieve


def hybrid(pool: PoolIndex) -> Retrieve:
    legs = (dense(pool, FIRST_DEPTH), words(pool, FIRST_DEPTH))
    return lambda question: [int(one) for one, _ in fuse([list(map(str, leg(question))) for leg in legs], FOUND)]


def _llama_nodes(pool: PoolIndex) -> list[Any]:
    from llama_index.core.schema import TextNode

    return [
        TextNode(id_=str(number), text=text, embedding=vector.tolist())
        for number, (text, vector) in enumerate(zip(texts(pool), pool.vectors, strict=True))
    ]


def _llama_vectors(pool: PoolIndex, nodes: Sequence[Any], depth: int) -> Any:
    from llama_index.core import VectorStoreIndex
    from llama_index.core.base.embeddings.base import BaseEmbedding

    encode = encoder(pool)

    class Encoded(BaseEmbedding):
        def _get_query_embedding(self, query: str) -> list[float]:
            return encode(query).tolist()

        async def _aget_query_embedding(self, query: str) -> list[float]:
            return encode(query).tolist()

        def _get_text_embedding(self, text: str) -> list[float]:
            raise AssertionError("every node has its vector")

    return VectorStoreIndex(list(nodes), embed_model=Encoded()).as_retriever(similarity_top_k=depth)


def _llama_found(retriever: Any) -> Retrieve:
    return lambda question: [int(one.node.node_id) for one in retriever.retrieve(question)]


def llama_vectors(pool: PoolIndex) -> Retrieve:
    return _llama_found(_llama_vectors(pool, _llama_nodes(pool), FOUND))


def llama_fusion(pool: PoolIndex) -> Retrieve:
    import Stemmer
    from llama_index.core.llms import MockLLM
    from llama_index.core.retrievers import QueryFusionRetriever
    from llama_index.retrievers.bm25 import BM25Retriever

    nodes = _llama_nodes(pool)
    by_words = BM25Retriever.from_defaults(
        nodes=nodes, similarity_top_k=FIRST_DEPTH, stemmer=Stemmer.Stemmer("english"), language="english"
    )
    legs = [_llama_vectors(pool, nodes, FIRST_DEPTH), by_words]
    fused = QueryFusionRetriever(
        legs, llm=MockLLM(), num_queries=1, mode="reciprocal_rerank", similarity_top_k=FOUND, use_async=False
    )
    return _llama_found(fused)


def _langchain_vectors(pool: PoolIndex, depth: int) -> Any:
    from langchain_core.embeddings import Embeddings
    from langchain_core.vectorstores import InMemoryVectorStore

    encode = encoder(pool)

    class Encoded(Embeddings):
        def embed_documents(self, texts: list[str]) -> list[list[float]]:
            return pool.vectors.tolist()[: len(texts)]

        def embed_query(self, text: str) -> list[float]:
            return encode(text).tolist()

    store = InMemoryVectorStore(Encoded())
    store.add_texts(texts(pool), metadatas=[{"number": number} for number in range(len(pool.documents))])
    return store.as_retriever(search_kwargs={"k": depth})


def _langchain_found(retriever: Any) -> Retrieve:
    return lambda question: [int(one.metadata["number"]) for one in retriever.invoke(question)][:FOUND]


def langchain_vectors(pool: PoolIndex) -> Retrieve:
    return _langchain_found(_langchain_vectors(pool, FOUND))


def langchain_ensemble(pool: PoolIndex) -> Retrieve:
    from langchain_classic.retrievers import EnsembleRetriever
    from langchain_community.retrievers import BM25Retriever

    numbers = [{"number": number} for number in range(len(pool.documents))]
    by_words = BM25Retriever.from_texts(texts(pool), metadatas=numbers, k=FIRST_DEPTH, preprocess_func=terms)
    legs = [by_words, _langchain_vectors(pool, FIRST_DEPTH)]
    return _langchain_found(EnsembleRetriever(retrievers=legs, weights=[0.5, 0.5]))


PEERS: dict[str, Callable[[PoolIndex], Retrieve]] = {
    "dense, numpy": dense,
    "bm25s": words,
    "hybrid, RRF k=60": fusion,
    "LlamaIndex VectorStoreIndex": llama_vectors,
    "LlamaIndex QueryFusion, RRF": llama_fusion,
    "LangChain InMemoryVectorStore": langchain_vectors,
    "LangChain Ensemble": langchain_ensemble,
    "Lakehop hybrid": hybrid,
}
PACKAGES = ("bm25s", "llama-index-core", "llama-index-retrievers-bm25", "langchain-core", "langchain-community")


@dataclass(frozen=True)
class Measured:
    """What a system found for each question of a pool, with milliseconds of one thread each, and seconds to index."""

    found: list[list[int]]
    spent_ms: list[float]
    index_s: float


def measured(pool: PoolIndex, build: Callable[[PoolIndex], Retrieve]) -> Measured:
    build(pool)(pool.questions[0].text)  # loads what it needs, once a process
    begun = time.process_time()
    retrieve = build(pool)
    index_s = time.process_time() - begun
    found, spent = [], []
    for question in pool.questions:
        begun = time.process_time()
        found.append(retrieve(question.text))
        spent.append(1000 * (time.process_time() - begun))
    return Measured(found, spent, index_s)


def multihop(pools: Sequence[Prepared]) -> list[Measured]:
    """Ours, of each pool, by weights that were learned without the question."""
    totals, _ = cross_validated(pools)
    return [
        Measured(
            [[one.numbers[at][place] for place in best(of, FOUND)] for at, of in enumerate(scores)],
            [1000 * second for second in one.seconds],
            one.pool.build_seconds,
        )
        for one, scores in zip(pools, totals, strict=True)
    ]


def kept(cache: Path, name: str, make: Callable[[], Measured]) -> Measured:
    path = cache / f"{re.sub(r'[^a-zA-Z0-9]+', '_', name)}.json"
    if not path.exists():
        path.write_text(json.dumps(asdict(make())))
    return Measured(**json.loads(path.read_text()))


def tell(pool: PoolIndex, name: str, one: Measured) -> None:
    cells = "   ".join(shown(_recalls(pool, one.found)[cut]) for cut in CUTS)
    print(f"  {name:30} {cells}   p50 {statistics.median(one.spent_ms):6.1f} ms   indexed in {one.index_s:5.1f} s   "
          "LLM tokens 0", flush=True)  # fmt: skip


def _recalls(pool: PoolIndex, ranked: Sequence[Sequence[int]]) -> dict[int, list[float]]:
    asked = list(zip(ranked, pool.questions, strict=True))
    return {cut: [len(set(one[:cut]) & question.gold) / len(question.gold) for one, question in asked] for cut in CUTS}


@click.command()
@click.argument("folders", nargs=-1, required=True, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--cache", required=True, type=click.Path(file_okay=False, path_type=Path), help="Keeps vectors.")
def main(folders: tuple[Path, ...], cache: Path) -> None:
    """Print recall at 2, 5 and 10 in per cent with 95 % intervals, milliseconds a question, and seconds to index."""
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    print(", ".join(f"{name} {version(name)}" for name in PACKAGES), flush=True)
    pools = [PoolIndex(folder.resolve(), cache) for folder in folders]
    others: dict[str, dict[str, Measured]] = {}
    for pool in pools:
        print(f"{pool.name}: {len(pool.documents)} passages, {len(pool.questions)} questions", flush=True)
        others[pool.name] = {}
        for name, build in PEERS.items():
            one = kept(cache, f"peers.{pool.name}.{name}", partial(measured, pool, build))
            tell(pool, name, one)
            others[pool.name][name] = one
    for pool, ours in zip(pools, multihop([Prepared(pool) for pool in pools]), strict=True):
        print(pool.name)
        tell(pool, OURS, ours)
        for name, one in others[pool.name].items():
            more = difference(_recalls(pool, ours.found)[5], _recalls(pool, one.found)[5])
            print(f"  {OURS} over {name} at 5: {more}", flush=True)


if __name__ == "__main__":
    main()
