"""Multi-hop retrieval beside what others retrieve with, in one run: recall, milliseconds, seconds to index.

    .venv-bench/bin/python -m tests.benchmarks.retrieval_peers POOL POOL --cache FOLDER

All have the same passages (title and text) and the same vectors of them and of the questions, so the encoder's time is
told once, for all that use it; whatever fuses two rankings takes 50 of each. LlamaIndex and LangChain are tuned as
their pages say: stemmed BM25 where they offer it, reciprocal rank fusion, no questions made by a model. Everything is
in memory and searched question by question, all systems in turn, so that what else the machine does hits all alike.
Weights of multihop are cross-validated.

What pays a language model to read the corpus (LightRAG, HippoRAG, LlamaIndex's property graph) is not here: it needs a
model that writes triples, and there is none without a network. No system here spends a token.
"""

import os

os.environ["TOKENIZERS_PARALLELISM"] = "false"

import logging
import statistics
import time
import warnings
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import bm25s
import click
import numpy as np

from lakehouse.embedding import BUNDLED_MODEL, embedded_text, load_embedder
from lakehouse.lexical import BM25_B, BM25_K1, fuse
from lakehouse.multihop import Weights, score
from lakehouse.multihop_candidates import FIRST_DEPTH
from lakehouse.multihop_training import learn
from lakehouse.terms import terms
from tests.benchmarks.intervals import difference, shown
from tests.benchmarks.pool_index import PoolIndex, Question
from tests.benchmarks.retrieval import CUTS, FOLDS, Prepared, candidates

FOUND = max(CUTS)
STANDARD_K = 60
"""Of reciprocal rank fusion, as most have it; ours is 1."""
OURS = "Lakehop multihop"
_SEED = 7
_ENCODED_FOR_TIME = 100

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


class Multihop:
    """Our search with weights that were learned without the question, in memory as the others are."""

    def __init__(self, pools: Sequence[Prepared]) -> None:
        folds = [np.random.default_rng(_SEED).permutation(len(one.examples)) % FOLDS for one in pools]
        self._weights: dict[str, Weights] = {}
        for fold in range(FOLDS):
            weights = learn(
                [one.examples[at] for one, of in zip(pools, folds, strict=True) for at in np.flatnonzero(of != fold)]
            )
            for one, of in zip(pools, folds, strict=True):
                self._weights |= {one.pool.questions[at].id: weights for at in np.flatnonzero(of == fold)}

    def retrieve(self, pool: PoolIndex, question: Question) -> list[int]:
        numbers, evidence = candidates(pool, question)
        totals = score(evidence.own(), evidence.pair(), self._weights[question.id])
        return [numbers[place] for place in best(totals, FOUND)]


def compare(pool: PoolIndex, multihop: Multihop) -> None:
    built: dict[str, Retrieve] = {}
    index_s = {OURS: pool.build_seconds}
    for name, build in PEERS.items():
        build(pool)  # loads what it needs, once a process
        begun = time.perf_counter()
        built[name] = build(pool)
        index_s[name] = time.perf_counter() - begun
        built[name](pool.questions[0].text)
    found: dict[str, list[list[int]]] = {name: [] for name in (*built, OURS)}
    spent: dict[str, list[float]] = {name: [] for name in found}
    for question in pool.questions:
        for name in found:
            begun = time.perf_counter()
            numbers = built[name](question.text) if name in built else multihop.retrieve(pool, question)
            spent[name].append(1000 * (time.perf_counter() - begun))
            found[name].append(numbers)
    recalls = {name: _recalls(pool, ranked) for name, ranked in found.items()}
    for name, of in recalls.items():
        cells = "   ".join(shown(of[cut]) for cut in CUTS)
        print(f"  {name:30} {cells}   p50 {statistics.median(spent[name]):6.1f} ms   indexed in {index_s[name]:5.1f} s"
              f"   LLM tokens 0   ours@5 {difference(recalls[OURS][5], of[5])}", flush=True)  # fmt: skip


def _recalls(pool: PoolIndex, ranked: Sequence[Sequence[int]]) -> dict[int, list[float]]:
    asked = list(zip(ranked, pool.questions, strict=True))
    return {cut: [len(set(one[:cut]) & question.gold) / len(question.gold) for one, question in asked] for cut in CUTS}


def encoding_times(pool: PoolIndex) -> str:
    """What the encoder takes for the corpus, by its first texts, and for a question."""
    embedder, some = load_embedder(BUNDLED_MODEL), texts(pool)[:_ENCODED_FOR_TIME]
    begun = time.perf_counter()
    embedder.encode(some)
    corpus_s = (time.perf_counter() - begun) * len(pool.documents) / len(some)
    spent = []
    for question in pool.questions[:_ENCODED_FOR_TIME]:
        begun = time.perf_counter()
        embedder.encode([question.text])
        spent.append(1000 * (time.perf_counter() - begun))
    return f"the encoder takes {corpus_s:.0f} s for them, and p50 {statistics.median(spent):.1f} ms a question"


@click.command()
@click.argument("folders", nargs=-1, required=True, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--cache", required=True, type=click.Path(file_okay=False, path_type=Path), help="Keeps vectors.")
def main(folders: tuple[Path, ...], cache: Path) -> None:
    """Print recall at 2, 5 and 10 in per cent with 95 % intervals, milliseconds a question, and seconds to index."""
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    cache.mkdir(parents=True, exist_ok=True)
    print(", ".join(f"{name} {version(name)}" for name in PACKAGES), flush=True)
    pools = [Prepared(PoolIndex(folder.resolve(), cache)) for folder in folders]
    multihop = Multihop(pools)
    for one in pools:
        print(f"{one.pool.name}: {len(one.pool.documents)} passages, {len(one.pool.questions)} questions; "
              f"{encoding_times(one.pool)}", flush=True)  # fmt: skip
        compare(one.pool, multihop)


if __name__ == "__main__":
    main()
