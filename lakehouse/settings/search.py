"""Search: Milvus, the embedding model, multi-hop weights, the reranker."""

from pydantic import Field, SecretStr

from lakehouse.settings.base import HttpUrl, SettingsGroup

# The value of `reranker` for the model that programs ask, in place of a cross-encoder.
LLM_RERANKER = "llm"


class SearchSettings(SettingsGroup, frozen=True):
    """Search: Milvus, the embedding model, multi-hop weights, the reranker."""

    milvus_uri: HttpUrl = Field("http://127.0.0.1:19530", description="Address of Milvus or of `milvus-lite server`.")
    milvus_token: SecretStr = Field(
        SecretStr(""), description="Credentials for Milvus: `user:password` or an API key. Empty: none."
    )
    milvus_timeout_s: float = Field(
        20,
        gt=0,
        description="Time limit of one Milvus call, seconds; the first BM25 query after a start can take 13 s.",
    )
    embedding_model: str = Field(
        "all-MiniLM-L6-v2",
        description="Embedding model of new tenants: a bundled model's id or a folder. Its tokenizer measures chunks. "
        "`lakehop reindex` moves a tenant that has an index to another model.",
    )
    multihop_weights: str = Field(
        "",
        description="File of weights for multi-hop search, written by `lakehop weights`. Empty: the shipped weights.",
    )
    reranker: str = Field(
        "",
        description="Reranker of the best 20 passages of a search. A folder, or an id in the model cache: a "
        f"cross-encoder. `{LLM_RERANKER}`: the model LAKEHOP_LLM_MODEL, at its price. Empty: none.",
    )
