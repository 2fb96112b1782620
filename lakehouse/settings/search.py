"""Search: Milvus, the embedding model, multi-hop weights, the reranker."""

from pydantic import Field, SecretStr

from lakehouse.settings.base import HttpUrl, SettingsGroup

# The value of `reranker` for the model that programs ask, in place of a cross-encoder.
LLM_RERANKER = "llm"


class SearchSettings(SettingsGroup, frozen=True):
    """Search: Milvus, the embedding model, multi-hop weights, the reranker."""

    milvus_uri: HttpUrl = Field("http://127.0.0.1:19530", description="Milvus, or `milvus-lite server`.")
    milvus_token: SecretStr = Field(SecretStr(""), description="`user:password` or an API key; empty: none.")
    milvus_timeout_s: float = Field(
        20, gt=0, description="Seconds for one Milvus call; the first BM25 query after a start can take 13 s."
    )
    embedding_model: str = Field(
        "all-MiniLM-L6-v2",
        description="Model of new tenants, whose tokenizer also measures chunks: an id that came with the environment, "
        "or a folder. `lakehop reindex` moves a tenant that has an index to another.",
    )
    multihop_weights: str = Field(
        "",
        description="Weights of searches by mode multihop, a file that `lakehop weights` wrote; empty: those that come "
        "with Lakehop.",
    )
    reranker: str = Field(
        "",
        description="What orders the best 20 passages of searches anew. A cross-encoder: a folder, or an id that is in "
        f"the model cache; `{LLM_RERANKER}`: the model of LAKEHOP_LLM_MODEL, at its price; empty: nothing.",
    )
