"""Gateway: its address, the program, caps of tasks, memory, tools."""

from decimal import Decimal
from typing import Literal

from pydantic import Field

from lakehouse.settings.base import HttpUrl, SettingsGroup

Program = Literal["single_shot", "multihop", "react", "team"]
"""Names of the programs that answer questions; `agents.programs` holds the programs."""
# The longest that one HTTP answer may take; proxies and clients cut longer ones.
MAX_TASK_SECONDS = 900
# Most documents that a quorum may ask for: each costs up to three model calls for a fact, and a task has 32.
MAX_QUORUM = 5
# Most texts of citations that a judge reads.
MAX_EVIDENCE = 20


class GatewaySettings(SettingsGroup, frozen=True):
    """Gateway: its address, the program, caps of tasks, memory, tools."""

    gateway_url: HttpUrl = Field("http://127.0.0.1:3000", description="Address of the BentoML gateway.")
    program: Program = Field("multihop", description="Program that answers when a request names none.")
    max_hops: int = Field(
        3,
        ge=1,
        le=8,
        description="Searches of one multihop task at most, in the order of hops. 1: no look-ups. "
        "Today `multihop` makes two hops at most, so higher values change nothing.",
    )
    task_max_usd: Decimal = Field(
        Decimal("0.10"), gt=0, description="Spend cap of a task when its request names none, US dollars."
    )
    task_max_seconds: float = Field(
        120,
        gt=0,
        le=MAX_TASK_SECONDS,
        description=f"Time cap of a task when its request names none, up to {MAX_TASK_SECONDS} s.",
    )
    memory_days: int = Field(
        180, ge=1, le=3650, description="Lifetime of an entry in a user's memory, days after it was written."
    )
    mcp_servers_file: str = Field(
        "",
        description="JSON or TOML file of MCP servers whose tools `react` and `team` may call: `mcpServers` as in "
        "other "
        "clients, plus `allow`. Empty: none.",
    )
