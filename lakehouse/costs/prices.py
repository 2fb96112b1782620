"""Prices of model calls: US dollars per million tokens, each valid from a day on, in `prices.toml`.

Money never passes through a float: a price is a string in the file and a Decimal in code.
"""

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from lakehouse.errors import InvalidInput

_MILLION = Decimal(1_000_000)
_PLACES = Decimal("1e-10")  # the scale of DECIMAL(18,10)
_AMOUNTS = ("input", "cached", "output")


@dataclass(frozen=True)
class Price:
    """US dollars per million tokens of one model from one UTC day on."""

    model: str
    start: date
    input: Decimal
    cached: Decimal
    output: Decimal


@dataclass(frozen=True)
class Cost:
    """Cost of one call and saving by cached tokens, US dollars to ten places; `price_from`: the price's first day."""

    usd: Decimal
    saved_usd: Decimal
    price_from: str


class Prices:
    """Prices of all models, by day."""

    def __init__(self, prices: Iterable[Price], origin: str) -> None:
        self._newest_first = sorted(prices, key=lambda price: price.start, reverse=True)
        self._origin = origin

    @classmethod
    def from_file(cls, path: Path) -> "Prices":
        """Read a price file. Raises InvalidInput naming the entry and what an entry must have."""
        try:
            entries = tomllib.loads(path.read_text(encoding="utf-8-sig")).get("price", [])
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise InvalidInput(
                f"prices_file={str(path)!r}: {error}. Name a readable TOML file with [[price]] entries."
            ) from None
        prices = [_price(path, number, entry) for number, entry in enumerate(entries, start=1)]
        seen: set[tuple[str, date]] = set()
        for price in prices:
            if (price.model, price.start) in seen:
                raise InvalidInput(f"{path}: two prices of {price.model!r} from {price.start}. Keep one.")
            seen.add((price.model, price.start))
        return cls(prices, str(path))

    def require(self, model: str, at: datetime) -> Price:
        """The price of a model at a time. Raises InvalidInput, with the lines to add, when there is none.

        Services call it once at their start, so that a model without a price fails the start and not a call.
        """
        day = at.astimezone(UTC).date()
        for price in self._newest_first:
            if price.model == model and price.start <= day:
                return price
        known = ", ".join(sorted({repr(price.model) for price in self._newest_first})) or "none"
        raise InvalidInput(
            f"model {model!r} has no price on {day}; priced models: {known}. "
            f"Add to {self._origin}, in US dollars per million tokens:\n"
            f'[[price]]\nmodel = "{model}"\nfrom = {day}\ninput = "…"\ncached = "…"\noutput = "…"'
        )

    def cost(self, model: str, at: datetime, input_tokens: int, cached_tokens: int, output_tokens: int) -> Cost:
        """Price one call. `input_tokens` includes `cached_tokens`, as in OpenTelemetry and in vLLM's usage.

        Raises InvalidInput for impossible token counts, and for a model without a price at that time.
        """
        if not 0 <= cached_tokens <= input_tokens or output_tokens < 0:
            raise InvalidInput(
                f"a {model!r} call with {input_tokens=}, {cached_tokens=}, {output_tokens=}: "
                "none may be negative, and cached is a part of input."
            )
        price = self.require(model, at)
        fresh_tokens = input_tokens - cached_tokens
        usd = fresh_tokens * price.input + cached_tokens * price.cached + output_tokens * price.output
        saved = cached_tokens * (price.input - price.cached)
        return Cost(_dollars(usd), _dollars(saved), price.start.isoformat())


def _dollars(usd_times_million: Decimal) -> Decimal:
    return (usd_times_million / _MILLION).quantize(_PLACES, rounding=ROUND_HALF_EVEN)


def _price(path: Path, number: int, entry: dict[str, Any]) -> Price:
    missing = [name for name in ("model", "from", *_AMOUNTS) if name not in entry]
    unknown = sorted(set(entry) - {"model", "from", "note", *_AMOUNTS})
    if missing or unknown:
        what = f"{missing[0]!r} is missing" if missing else f"{unknown[0]!r} is unknown"
        raise InvalidInput(
            f"{path}: price {number}: {what}. A price has model, from, input, cached, output, and maybe a note."
        )
    start = entry["from"]
    if not isinstance(start, date) or isinstance(start, datetime):
        raise InvalidInput(f"{path}: price {number}: from={start!r}: must be a day without quotes, e.g. 2026-01-01.")
    return Price(str(entry["model"]), start, *(_amount(path, number, name, entry[name]) for name in _AMOUNTS))


def _amount(path: Path, number: int, name: str, text: Any) -> Decimal:
    problem = f'{path}: price {number}: {name}={text!r}: must be dollars per million tokens in quotes, e.g. "0.15".'
    if not isinstance(text, str):  # a bare number would already have been a float
        raise InvalidInput(problem)
    try:
        amount = Decimal(text)
    except InvalidOperation:
        raise InvalidInput(problem) from None
    if not amount.is_finite() or amount < 0:
        raise InvalidInput(problem)
    return amount
