"""The ledger: keys that open, caps that hold."""

import multiprocessing
import stat
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from lakehouse.access.ledger import DailySpend, Key, Ledger, next_day
from lakehouse.errors import BudgetExceeded, InvalidInput, NotFound
from lakehouse.settings import Settings
from lakehouse.storage.database import Database

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


class Clock:
    """A clock that stands still until a test moves it."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def settings(tmp_path: Path, database_url: str) -> Settings:
    return Settings(home=tmp_path, database_url=database_url)


@pytest.fixture
def ledger(settings: Settings, clock: Clock) -> Iterator[Ledger]:
    database = Database.open(settings)
    yield Ledger(database, clock)
    database.close()


def key_with(ledger: Ledger, daily_usd: str | None) -> str:
    return ledger.create_key("acme", ["staff"], "wiki", Decimal(daily_usd) if daily_usd else None)[0]


def test_a_secret_opens_its_key(ledger):
    key_id, secret = ledger.create_key("acme", ["staff", " hr ", "staff"], "wiki", Decimal("1.50"))

    assert ledger.authenticate(secret) == Key(
        key_id=key_id,
        tenant_id="acme",
        groups=("hr", "staff"),
        app="wiki",
        daily_usd=Decimal("1.5"),
        operator=False,
        created_at=NOON,
        revoked_at=None,
    )
    assert secret.startswith("lh_")
    assert len(secret) == 46


def test_another_secret_opens_nothing(ledger):
    _, secret = ledger.create_key("acme", [], "wiki", None)

    assert [ledger.authenticate(wrong) for wrong in ("", "lh_", secret[:-1], secret + "x")] == [None] * 4


def test_no_file_holds_the_secret_and_only_the_owner_reads_them(tmp_path):
    database = Database.open(Settings(home=tmp_path))
    _, secret = Ledger(database).create_key("acme", [], "wiki", None)

    files = list(tmp_path.iterdir())
    assert tmp_path / "lakehop.sqlite" in files
    assert [file.name for file in files if secret[3:].encode() in file.read_bytes()] == []
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    database.close()


def test_a_revoked_key_opens_nothing_and_stays_on_the_list(ledger, clock):
    key_id, secret = ledger.create_key("acme", [], "wiki", None)
    ledger.revoke(key_id)
    clock.now += timedelta(hours=1)
    ledger.revoke(key_id)

    assert ledger.authenticate(secret) is None
    assert [(key.key_id, key.revoked_at) for key in ledger.list_keys()] == [(key_id, NOON)]


@pytest.mark.parametrize("unknown", ["", "key_0", "'; DROP TABLE keys; --"])
def test_an_unknown_key_is_not_found(ledger, unknown):
    for act in (ledger.revoke, ledger.today, lambda key_id: ledger.reserve(key_id, Decimal(1))):
        with pytest.raises(NotFound, match="there is none of this id"):
            act(unknown)


@pytest.mark.parametrize(
    ("tenant", "groups", "app", "daily_usd"),
    [
        ("", [], "wiki", None),
        ("a b", [], "wiki", None),
        ("acme", ["a\x00b"], "wiki", None),
        ("acme", [], "  ", None),
        ("acme", [], "wiki", Decimal(0)),
        ("acme", [], "wiki", Decimal(-1)),
        ("acme", [], "wiki", Decimal("NaN")),
        ("acme", [], "wiki", Decimal("0.00000000001")),
        ("acme", [], "wiki", Decimal("1e12")),
    ],
)
def test_a_bad_key_is_not_made(ledger, tenant, groups, app, daily_usd):
    with pytest.raises(InvalidInput):
        ledger.create_key(tenant, groups, app, daily_usd)

    assert ledger.list_keys() == []


def test_money_is_exact_to_ten_places(ledger):
    key_id = key_with(ledger, None)
    for _ in range(3):
        ledger.settle(ledger.reserve(key_id, Decimal("0.1")), Decimal("0.0000000001"))

    assert ledger.spent_today(key_id) == Decimal("0.0000000003")


def test_a_reservation_is_held_then_settled_at_its_true_cost(ledger):
    key_id = key_with(ledger, "1")
    reservation = ledger.reserve(key_id, Decimal("0.4"))
    ledger.accrue(reservation, Decimal("0.1"))
    running = ledger.today(key_id)
    ledger.settle(reservation, Decimal("0.15"))

    assert running == DailySpend("2026-11-21", Decimal("0.1"), Decimal("0.3"), Decimal(1))
    assert ledger.today(key_id) == DailySpend("2026-11-21", Decimal("0.15"), Decimal(0), Decimal(1))


def test_a_second_settlement_is_void(ledger):
    key_id = key_with(ledger, None)
    reservation = ledger.reserve(key_id, Decimal(1))
    ledger.settle(reservation, Decimal("0.5"))
    ledger.settle(reservation, Decimal("0.5"))

    assert ledger.spent_today(key_id) == Decimal("0.5")


def test_what_does_not_fit_under_the_cap_is_refused_with_what_would(ledger):
    key_id = key_with(ledger, "1")
    ledger.settle(ledger.reserve(key_id, Decimal("0.5")), Decimal("0.5"))
    ledger.reserve(key_id, Decimal("0.3"))

    with pytest.raises(BudgetExceeded) as refusal:
        ledger.reserve(key_id, Decimal("0.21"))
    assert str(refusal.value) == (
        f"daily cap of {key_id} (wiki): 1 USD a day, of which 0.5 are spent and 0.3 are held by running tasks; "
        "this task needs 0.21. Ask with max_usd of at most 0.2, or wait for running tasks to end. "
        "The cap begins anew at 00:00 UTC; an operator can make a key with a higher one."
    )
    assert ledger.reserve(key_id, Decimal("0.2")).usd == Decimal("0.2")


def test_a_flexible_reservation_takes_what_is_free_but_not_too_little(ledger):
    key_id = key_with(ledger, "0.15")

    assert ledger.reserve(key_id, Decimal("0.1"), at_least=Decimal("0.01")).usd == Decimal("0.1")
    assert ledger.reserve(key_id, Decimal("0.1"), at_least=Decimal("0.01")).usd == Decimal("0.05")
    with pytest.raises(BudgetExceeded):
        ledger.reserve(key_id, Decimal("0.1"), at_least=Decimal("0.01"))


def test_a_key_without_a_cap_is_never_refused(ledger):
    key_id = key_with(ledger, None)

    assert ledger.reserve(key_id, Decimal(1_000_000)).usd == Decimal(1_000_000)


def test_the_reservation_of_a_killed_process_expires_and_leaves_what_it_had_spent(ledger, clock):
    key_id = key_with(ledger, "1")
    lost = ledger.reserve(key_id, Decimal(1), lifetime_s=60)
    ledger.accrue(lost, Decimal("0.25"))
    clock.now += timedelta(seconds=59)
    with pytest.raises(BudgetExceeded):
        ledger.reserve(key_id, Decimal("0.01"))
    clock.now += timedelta(seconds=1)

    assert ledger.today(key_id) == DailySpend("2026-11-21", Decimal("0.25"), Decimal(0), Decimal(1))
    assert ledger.reserve(key_id, Decimal("0.75")).usd == Decimal("0.75")


def test_the_cap_begins_anew_at_midnight_utc_and_a_task_counts_where_it_began(ledger, clock):
    key_id = key_with(ledger, "1")
    clock.now = datetime(2026, 11, 21, 23, 59, 59, tzinfo=UTC)
    late = ledger.reserve(key_id, Decimal(1))
    clock.now += timedelta(seconds=2)
    early = ledger.reserve(key_id, Decimal(1))
    ledger.settle(late, Decimal("0.9"))
    ledger.settle(early, Decimal("0.2"))

    assert ledger.today(key_id) == DailySpend("2026-11-22", Decimal("0.2"), Decimal(0), Decimal(1))


def test_the_next_day_is_utcs():
    berlin_evening = datetime.fromisoformat("2026-11-22T00:30:00+01:00")

    assert next_day(berlin_evening) == datetime(2026, 11, 22, tzinfo=UTC)


def test_keys_and_spend_outlive_the_process(settings, clock):
    first = Database.open(settings)
    key_id, secret = Ledger(first, clock).create_key("acme", [], "wiki", Decimal(1))
    Ledger(first, clock).settle(Ledger(first, clock).reserve(key_id, Decimal(1)), Decimal("0.7"))
    first.close()
    second = Database.open(settings)

    assert Ledger(second, clock).authenticate(secret).key_id == key_id
    assert Ledger(second, clock).spent_today(key_id) == Decimal("0.7")
    second.close()


def _reserve_all_you_can(settings: Settings, key_id: str, go_at: float) -> int:
    """Reserve a cent again and again, settling every other at its full price; return how many were granted."""
    ledger = Ledger(Database.open(settings))
    time.sleep(max(0.0, go_at - time.time()))

    def reserve(attempt: int) -> bool:
        try:
            reservation = ledger.reserve(key_id, Decimal("0.01"))
        except BudgetExceeded:
            return False
        if attempt % 2:
            ledger.settle(reservation, Decimal("0.01"))
        return True

    with ThreadPoolExecutor(4) as threads:
        return sum(threads.map(reserve, range(40)))


def test_the_cap_holds_between_threads_and_processes(ledger, clock, settings):
    clock.now = datetime.now(UTC)
    key_id = key_with(ledger, "1")
    with multiprocessing.get_context("spawn").Pool(3) as processes:
        granted = processes.starmap(_reserve_all_you_can, [(settings, key_id, time.time() + 2)] * 3)

    spend = ledger.today(key_id)
    assert sum(granted) == 100
    assert spend.spent_usd + spend.reserved_usd == Decimal(1)


def test_a_ledger_is_opened_by_many_processes_at_once(settings):
    with multiprocessing.get_context("spawn").Pool(4) as processes:
        opened = processes.map(_open, [(settings, time.time() + 2)] * 4)

    assert opened == [0, 0, 0, 0]


def _open(at: tuple[Settings, float]) -> int:
    settings, go_at = at
    time.sleep(max(0.0, go_at - time.time()))
    database = Database.open(settings)
    keys = len(Ledger(database).list_keys())
    database.close()
    return keys


def test_a_failed_statement_leaves_no_transaction_open(ledger, settings):
    with pytest.raises(NotFound):
        ledger.reserve("key_0", Decimal(1))

    other = Database.open(settings)
    assert Ledger(other).create_key("acme", [], "wiki", None)
    other.close()
