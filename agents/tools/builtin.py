"""The tools that every task has, in the order in which a model reads them."""

from agents.tools.calculator import CALCULATE
from agents.tools.contract import Tool
from agents.tools.documents import FETCH_DOCUMENT, SEARCH
from agents.tools.python import PYTHON
from agents.tools.sql import SQL

BUILT_IN: tuple[Tool, ...] = (SEARCH, FETCH_DOCUMENT, CALCULATE, SQL, PYTHON)
