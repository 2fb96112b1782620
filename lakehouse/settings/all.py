"""All settings of a process in one object."""

from lakehouse.settings.documents import DocumentSettings
from lakehouse.settings.gateway import GatewaySettings
from lakehouse.settings.model import ModelSettings
from lakehouse.settings.operations import OperationsSettings
from lakehouse.settings.search import LLM_RERANKER, SearchSettings
from lakehouse.settings.spark import SparkSettings
from lakehouse.settings.storage import StorageSettings

GROUPS = (
    StorageSettings,
    SparkSettings,
    DocumentSettings,
    SearchSettings,
    ModelSettings,
    GatewaySettings,
    OperationsSettings,
)
"""The groups, in the order in which people read about them."""


# Pydantic takes the fields of the last base first.
class Settings(
    OperationsSettings,
    GatewaySettings,
    ModelSettings,
    SearchSettings,
    DocumentSettings,
    SparkSettings,
    StorageSettings,
    frozen=True,
):
    """What differs between a laptop and a cluster; nothing else differs."""

    @property
    def search_seconds(self) -> float:
        """Time limit of a search without a task, seconds. A model as reranker needs the time of a task."""
        return self.task_max_seconds if self.reranker == LLM_RERANKER else self.milvus_timeout_s * 2
