"""The parts that all tasks of a process share."""

from dataclasses import dataclass, field

from agents.task.hedging import Hedging
from agents.tools.breaker import Breakers
from agents.tools.builtin import BUILT_IN
from agents.tools.contract import Tool
from agents.tools.mcp.servers import McpServers
from lakehouse.costs.call_records import Spool
from lakehouse.costs.prices import Prices
from lakehouse.retrieval.retriever import Retriever
from lakehouse.settings import Settings


@dataclass(frozen=True)
class Dependencies:
    """Made once per process and shared by its tasks."""

    settings: Settings
    retriever: Retriever
    spool: Spool
    prices: Prices
    tools: tuple[Tool, ...] = BUILT_IN
    breakers: Breakers = field(default_factory=Breakers)
    hedging: Hedging = field(default_factory=Hedging)
    servers: McpServers = field(default_factory=McpServers)
