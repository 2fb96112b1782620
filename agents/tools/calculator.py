"""The calculator: exact arithmetic, because no model of any size adds reliably."""

import ast
import operator
from collections.abc import Callable
from decimal import Decimal, localcontext

from pydantic import BaseModel, Field

from agents.prompting.constraints import in_words
from agents.tools.contract import Tool, ToolContext, ToolFailed, ToolResult

MAX_EXPRESSION_LENGTH = 200

_OPERATIONS: dict[type[ast.operator], Callable[[Decimal, Decimal], Decimal]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


class Sum(BaseModel, extra="forbid"):
    """Arguments of `calculate`."""

    expression: str = Field(
        description="such as (3 + 4) * 2",
        min_length=1,
        max_length=MAX_EXPRESSION_LENGTH,
        json_schema_extra=in_words(16),
    )


def calculate(expression: str) -> str:
    """Evaluate an expression such as `3 + 4 * 2`: numbers, + - * / and parentheses. Returns the number as text.

    Raises ToolFailed.
    """
    if len(expression) > MAX_EXPRESSION_LENGTH:
        raise ToolFailed(f"{expression[:20]!r}…: at most {MAX_EXPRESSION_LENGTH} characters. Split it.")
    try:
        tree = ast.parse(expression.strip(), mode="eval")
        with localcontext(prec=28):
            value = _value(tree.body, expression)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise ToolFailed(f"{expression!r} is no sum. Use numbers, + - * / and parentheses.") from None
    except ArithmeticError:
        raise ToolFailed(f"{expression!r} divides by zero, or no number is that large. Check the numbers.") from None
    if abs(value.adjusted()) > MAX_EXPRESSION_LENGTH:  # 1e999999 would be a megabyte of zeros
        raise ToolFailed(f"{expression!r} gives a number too long to write. Check the numbers.")
    return f"{value.normalize():f}"


async def _calculate(given: Sum, context: ToolContext) -> ToolResult:
    return ToolResult(calculate(given.expression))


CALCULATE = Tool(
    name="calculate",
    description="Work out a sum of numbers with + - * / and parentheses.",
    arguments=Sum,
    run=_calculate,
    timeout_s=1.0,
)


def _value(node: ast.expr, expression: str) -> Decimal:
    match node:
        case ast.Constant(value=int() | float()) if not isinstance(node.value, bool):
            return Decimal(ast.get_source_segment(expression.strip(), node) or "0")
        case ast.BinOp(op=op) if type(op) in _OPERATIONS:
            return _OPERATIONS[type(op)](_value(node.left, expression), _value(node.right, expression))
        case ast.UnaryOp(op=ast.USub()):
            return -_value(node.operand, expression)
    raise ValueError(f"{ast.dump(node)[:80]} is not allowed")
