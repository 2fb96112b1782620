"""Prices: the right day's price, exact money, and an unpriced model found out at the start."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path

import pytest

from lakehouse.costs.prices import Cost, Prices
from lakehouse.errors import InvalidInput
from lakehouse.settings import Settings

OLD = '[[price]]\nmodel = "m"\nfrom = 2026-01-01\ninput = "3"\ncached = "0.30"\noutput = "15"\n'
NEW = '[[price]]\nmodel = "m"\nfrom = 2026-06-01\ninput = "1"\ncached = "0.10"\noutput = "5"\n'
MAY = datetime(2026, 5, 31, 23, 59, tzinfo=UTC)
JUNE = datetime(2026, 6, 1, tzinfo=UTC)


@pytest.fixture
def prices(tmp_path: Path) -> Prices:
    return Prices.from_file(written(tmp_path, NEW + OLD))


def written(folder: Path, text: str) -> Path:
    path = folder / "prices.toml"
    path.write_text(text)
    return path


def test_cached_tokens_are_a_part_of_input_and_cost_their_own_price(prices: Prices) -> None:
    assert prices.cost("m", MAY, input_tokens=1000, cached_tokens=400, output_tokens=100) == Cost(
        usd=Decimal("0.0034200000"),  # 600 × 3 + 400 × 0.30 + 100 × 15, over a million
        saved_usd=Decimal("0.0010800000"),  # 400 × (3 - 0.30), over a million
        price_from="2026-01-01",
    )


def test_a_file_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    assert Prices.from_file(written(tmp_path, "\ufeff" + OLD)).cost("m", MAY, 1_000_000, 0, 0).usd == 3


def test_a_price_holds_from_its_utc_day_on(prices: Prices) -> None:
    assert prices.cost("m", JUNE, 1_000_000, 0, 0) == Cost(Decimal(1), Decimal(0), "2026-06-01")
    assert prices.cost("m", MAY, 1_000_000, 0, 0) == Cost(Decimal(3), Decimal(0), "2026-01-01")
    still_may_in_london = datetime(2026, 6, 1, 8, tzinfo=timezone(timedelta(hours=9)))
    assert prices.cost("m", still_may_in_london, 1_000_000, 0, 0).price_from == "2026-01-01"


def test_one_token_of_the_cheapest_price_is_kept_and_a_half_place_goes_to_the_even_one(tmp_path: Path) -> None:
    cheap = Prices.from_file(written(tmp_path, OLD.replace('"3"', '"0.0001"').replace('"15"', '"0.00005"')))

    assert cheap.cost("m", MAY, 1, 0, 0).usd == Decimal("0.0000000001")
    assert cheap.cost("m", MAY, 0, 0, 1).usd == Decimal("0.0000000000")  # half a place: to the even 0
    assert cheap.cost("m", MAY, 0, 0, 3).usd == Decimal("0.0000000002")  # one and a half: to the even 2


def test_money_has_ten_places_always(prices: Prices) -> None:
    cost = prices.cost("m", MAY, 0, 0, 0)
    assert (str(cost.usd), str(cost.saved_usd)) == ("0E-10", "0E-10")


def test_a_model_without_a_price_says_what_to_add(prices: Prices) -> None:
    with pytest.raises(InvalidInput) as caught:
        prices.require("gpt-x", JUNE)
    assert "model 'gpt-x' has no price on 2026-06-01; priced models: 'm'." in str(caught.value)
    assert '[[price]]\nmodel = "gpt-x"\nfrom = 2026-06-01\ninput = "…"' in str(caught.value)


def test_a_model_has_no_price_before_its_first_day(prices: Prices) -> None:
    with pytest.raises(InvalidInput, match="model 'm' has no price on 2025-12-31"):
        prices.cost("m", datetime(2025, 12, 31, tzinfo=UTC), 1, 0, 0)


@pytest.mark.parametrize("tokens", [(10, 11, 0), (-1, 0, 0), (1, -1, 0), (1, 0, -1)])
def test_token_counts_that_cannot_be_are_refused(prices: Prices, tokens: tuple[int, int, int]) -> None:
    with pytest.raises(InvalidInput, match="none may be negative, and cached is a part of input"):
        prices.cost("m", JUNE, *tokens)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[[price]", "Name a readable TOML file"),
        (OLD.replace('output = "15"\n', ""), r"price 1: 'output' is missing"),
        (OLD + 'currency = "EUR"\n', r"price 1: 'currency' is unknown"),
        (OLD.replace('"3"', "3.0"), r'price 1: input=3.0: must be dollars per million tokens in quotes, e.g. "0.15"'),
        (OLD.replace('"3"', '"three"'), r"price 1: input='three'"),
        (OLD.replace('"3"', '"-3"'), r"price 1: input='-3'"),
        (OLD.replace('"3"', '"Infinity"'), r"price 1: input='Infinity'"),
        (OLD.replace("2026-01-01", '"2026-01-01"'), r"price 1: from='2026-01-01': must be a day without quotes"),
        (OLD + OLD, r"two prices of 'm' from 2026-01-01\. Keep one\."),
    ],
)
def test_a_bad_price_file_is_refused_by_entry(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(InvalidInput, match=complaint):
        Prices.from_file(written(tmp_path, text))


def test_a_price_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"prices_file=.*none\.toml.*No such file"):
        Prices.from_file(tmp_path / "none.toml")


def test_the_default_model_has_a_price_in_the_file_that_comes_along() -> None:
    settings = Settings()
    price = Prices.from_file(settings.prices_file).require(settings.llm_model, datetime.now(UTC))
    assert 0 < price.cached < price.input < price.output
