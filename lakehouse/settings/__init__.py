"""Every setting of Lakehop: its name, unit, default, and the reason for the default; one module a group.

A process builds one frozen `Settings` at its entry with `load_settings()`, from environment variables (`LAKEHOP_` and
the field's name in capitals) over an optional TOML file (`LAKEHOP_CONFIG`). No other module reads the environment, but
`lakehouse.access.mcp_servers` for the secrets that its file refers to. An unknown name is an error, because a typo that
passes in silence is found in production.
"""

from lakehouse.settings.all import GROUPS, Settings
from lakehouse.settings.base import PREFIX, PROJECT_ROOT
from lakehouse.settings.gateway import MAX_EVIDENCE, MAX_QUORUM, MAX_TASK_SECONDS, Program
from lakehouse.settings.loading import load_settings
from lakehouse.settings.model import BUNDLED_LLM
from lakehouse.settings.operations import MODEL_POOL, WRITER_POOL
from lakehouse.settings.search import LLM_RERANKER

__all__ = [
    "BUNDLED_LLM",
    "GROUPS",
    "LLM_RERANKER",
    "MAX_EVIDENCE",
    "MAX_QUORUM",
    "MAX_TASK_SECONDS",
    "MODEL_POOL",
    "PREFIX",
    "PROJECT_ROOT",
    "WRITER_POOL",
    "Program",
    "Settings",
    "load_settings",
]
