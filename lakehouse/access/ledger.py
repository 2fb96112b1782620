"""API keys and what each may spend in a day, in the relational database that gateways and the command line share.

Here and not in Delta, because a spend cap is a decision before each task: it needs a transaction that takes about
a millisecond and that threads and processes cannot interleave. The call records in the lakehouse are the bill; the
ledger only holds the caps.

Money is stored as whole units of 10^-10 US dollars (see `lakehouse.storage.relational_tables`), so that sums are exact.
A day is a day in UTC, and a task counts on the day on which it began.
"""

import hashlib
import json
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from lakehouse.access.permissions import canonical_groups, check_tenant
from lakehouse.errors import BudgetExceeded, InvalidInput, NotFound
from lakehouse.storage.database import Database
from lakehouse.storage.relational_tables import KEYS, RESERVATIONS, SETTLED, insert_into

SECRET_PREFIX = "lh_"  # noqa: S105 (lets a secret scanner find a leaked key)
MONEY_PLACES = 10
MAX_USD = Decimal(99_999_999)  # what a MONEY column holds


@dataclass(frozen=True)
class Key:
    """One API key, without its secret. `daily_usd` is None for a key without a cap."""

    key_id: str
    tenant_id: str
    groups: tuple[str, ...]
    app: str
    daily_usd: Decimal | None
    operator: bool
    created_at: datetime
    revoked_at: datetime | None


@dataclass(frozen=True)
class Reservation:
    """The right to spend up to `usd` on one task; `settle` ends it."""

    reservation_id: str
    key_id: str
    day: str
    usd: Decimal


@dataclass(frozen=True)
class DailySpend:
    """A key's money today (UTC), US dollars: spent, held by tasks that still run, and the cap (None: no cap)."""

    day: str
    spent_usd: Decimal
    reserved_usd: Decimal
    daily_usd: Decimal | None


class Ledger:
    """Keys and spend; safe to share between threads. Processes share them through the database."""

    def __init__(self, database: Database, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._clock = clock
        self._database = database

    def create_key(
        self, tenant_id: str, groups: Iterable[str], app: str, daily_usd: Decimal | None, operator: bool = False
    ) -> tuple[str, str]:
        """Make a key; return its id and its secret. Only a SHA-256 of the secret is stored.

        `daily_usd` caps what the key's tasks spend in a UTC day; None: no cap. An operator key may act for any
        tenant and group. Raises `InvalidInput` for a bad tenant, group, app or cap.
        """
        if not app.strip() or len(app) > 128:
            raise InvalidInput(f"app {app[:40]!r}: must have 1 to 128 characters. Name the program that uses the key.")
        cap = None if daily_usd is None else _units(daily_usd)
        if cap == 0:
            raise InvalidInput(f"daily_usd {daily_usd}: must be above 0. To stop a key, revoke it.")
        key_id, secret = "key_" + secrets.token_hex(6), SECRET_PREFIX + secrets.token_urlsafe(32)
        row = {
            "key_id": key_id,
            "secret_sha256": _sha256(secret),
            "tenant_id": check_tenant(tenant_id),
            "acl_groups": json.dumps(canonical_groups(groups)),
            "app": app.strip(),
            "daily_units": cap,
            "operator": operator,
            "created_at": self._clock().isoformat(),
        }
        with self._database.write() as connection:
            connection.execute(sa.insert(KEYS), row)
        return key_id, secret

    def revoke(self, key_id: str) -> None:
        """Refuse the key from now on. Revoking twice changes nothing. Raises `NotFound` for an unknown id."""
        revoke = sa.update(KEYS).where(KEYS.c.key_id == key_id, KEYS.c.revoked_at.is_(None))
        with self._database.write() as connection:
            connection.execute(revoke.values(revoked_at=self._clock().isoformat()))
            _existing_key(connection, key_id)

    def list_keys(self) -> list[Key]:
        """All keys, revoked keys too, oldest first."""
        with self._database.read() as connection:
            return [_key(row) for row in connection.execute(_ALL_KEYS)]

    def authenticate(self, secret: str) -> Key | None:
        """The key that a secret opens; None when it is unknown or revoked.

        The look-up is by the secret's hash, so its time says nothing about how much of a guess was right.
        """
        with self._database.read() as connection:
            row = connection.execute(_KEY_OF_SECRET, {"sha256": _sha256(secret)}).first()
        return _key(row) if row else None

    def reserve(
        self, key_id: str, usd: Decimal, *, at_least: Decimal | None = None, lifetime_s: float = 960
    ) -> Reservation:
        """Hold `usd` of the key's day for one task, or the free part of it down to `at_least` (default: all or none).

        Settled, spent and held money together never pass the cap, however many threads and processes reserve at
        once. Raises `BudgetExceeded` when too little is free.

        `lifetime_s` is how long the task can run at most. A reservation older than that belongs to a killed
        process: it no longer holds anything, and counts what was `accrue`d on it.
        """
        now = self._clock()
        reservation_id, day = "res_" + secrets.token_hex(8), now.date().isoformat()
        wanted = _units(usd)
        least = wanted if at_least is None else min(wanted, _units(at_least))
        row = {"new_id": reservation_id, "of_key": key_id, "of_day": day, "wanted": wanted, "least": least}
        row |= {"now": now.timestamp(), "until": now.timestamp() + lifetime_s}
        with self._database.write(lock=(_LOCK_KEY, row)) as connection:
            granted = connection.scalar(_RESERVE, row)
            if granted is None:
                key = _existing_key(connection, key_id)
                spent, held = self._spent_and_held(connection, key_id, day)
                raise _over_the_cap(key, spent, held, usd if at_least is None else at_least)
        return Reservation(reservation_id, key_id, day, _usd(granted))

    def accrue(self, reservation: Reservation, spent_usd: Decimal) -> None:
        """Note the spend of a running task so far in all; it counts when the process is killed."""
        with self._database.write() as connection:
            connection.execute(_ACCRUE, {"of": reservation.reservation_id, "spent": _units(spent_usd)})

    def settle(self, reservation: Reservation, actual_usd: Decimal) -> None:
        """End a reservation and book the task's cost on the day on which it began. A second settlement is void."""
        row = {"key_id": reservation.key_id, "day": reservation.day, "units": _units(actual_usd)}
        with self._database.write() as connection:
            if connection.execute(_END, {"of": reservation.reservation_id}).rowcount:
                connection.execute(_BOOK[connection.dialect.name], row)

    def today(self, key_id: str) -> DailySpend:
        """Spend and holds of a key today. Raises `NotFound` for an unknown key."""
        day = self._clock().date().isoformat()
        with self._database.read() as connection:
            key = _existing_key(connection, key_id)
            spent, held = self._spent_and_held(connection, key_id, day)
        return DailySpend(day, _usd(spent), _usd(held), key.daily_usd)

    def spent_today(self, key_id: str) -> Decimal:
        """US dollars that the key has spent today."""
        return self.today(key_id).spent_usd

    def _spent_and_held(self, connection: sa.Connection, key_id: str, day: str) -> tuple[int, int]:
        """Units spent on a day, by running tasks too, and units that running tasks still hold beyond that."""
        of = {"of_key": key_id, "of_day": day, "now": self._clock().timestamp()}
        spent, held = connection.execute(_SPENT_AND_HELD, of).one()
        return int(spent), int(held)  # a sum of integers is a Decimal on Postgres


def _spent_and_held() -> sa.Select[int, int]:
    """In one statement, so that a task that settles meanwhile counts once: as running, or as settled."""
    running, settled = RESERVATIONS.c, SETTLED.c
    unspent = sa.case(
        (running.reserved_units > running.spent_units, running.reserved_units - running.spent_units), else_=0
    )
    holds = running.expires_at > sa.bindparam("now")
    settled_units = sa.select(settled.units).where(
        settled.key_id == sa.bindparam("of_key"), settled.day == sa.bindparam("of_day")
    )
    spent = sa.func.coalesce(sa.func.sum(running.spent_units), 0) + sa.func.coalesce(settled_units.scalar_subquery(), 0)
    held = sa.func.coalesce(sa.func.sum(sa.case((holds, unspent), else_=0)), 0)
    return sa.select(spent.label("spent"), held.label("held")).where(
        running.key_id == sa.bindparam("of_key"), running.day == sa.bindparam("of_day")
    )


def _reserve() -> sa.Insert:
    """In one statement: a reservation of the wanted units or of the free units, or no row where too little is free."""
    day = _spent_and_held().subquery()
    free = KEYS.c.daily_units - day.c.spent - day.c.held
    wanted, least = sa.bindparam("wanted", type_=sa.BigInteger), sa.bindparam("least", type_=sa.BigInteger)
    no_cap = KEYS.c.daily_units.is_(None)
    granted = sa.cast(sa.case((sa.or_(no_cap, free >= wanted), wanted), else_=free), sa.BigInteger)
    row = sa.select(
        sa.bindparam("new_id", type_=sa.Text),
        KEYS.c.key_id,
        sa.bindparam("of_day", type_=sa.Text),
        granted,
        sa.bindparam("until", type_=sa.Double),
    )
    row = row.select_from(KEYS.join(day, sa.true()))
    row = row.where(KEYS.c.key_id == sa.bindparam("of_key"), sa.or_(no_cap, free >= least))
    columns = ["reservation_id", "key_id", "day", "reserved_units", "expires_at"]
    insert = sa.insert(RESERVATIONS).from_select(columns, row, include_defaults=False)
    return insert.returning(RESERVATIONS.c.reserved_units)


def _book(dialect: str) -> sa.Insert:
    insert = insert_into(SETTLED, dialect)
    total = SETTLED.c.units + insert.excluded.units
    return insert.on_conflict_do_update(index_elements=[SETTLED.c.key_id, SETTLED.c.day], set_={"units": total})


# Made once: SQLAlchemy takes longer to make a statement than SQLite to run it.
_ALL_KEYS = sa.select(KEYS).order_by(KEYS.c.created_at, KEYS.c.key_id)
_KEY_OF_ID = sa.select(KEYS).where(KEYS.c.key_id == sa.bindparam("of_key"))
# The lock makes the reservations of a key wait for each other.
_LOCK_KEY = sa.select(KEYS.c.key_id).where(KEYS.c.key_id == sa.bindparam("of_key")).with_for_update()
_KEY_OF_SECRET = sa.select(KEYS).where(KEYS.c.secret_sha256 == sa.bindparam("sha256"), KEYS.c.revoked_at.is_(None))
_SPENT_AND_HELD = _spent_and_held()
_RESERVE = _reserve()
_BOOK = {dialect: _book(dialect) for dialect in ("sqlite", "postgresql")}
_END = sa.delete(RESERVATIONS).where(RESERVATIONS.c.reservation_id == sa.bindparam("of"))
_ACCRUE = (
    sa.update(RESERVATIONS)
    .where(RESERVATIONS.c.reservation_id == sa.bindparam("of"), RESERVATIONS.c.spent_units < sa.bindparam("spent"))
    .values(spent_units=sa.bindparam("spent"))
)


def next_day(now: datetime) -> datetime:
    """The coming midnight, UTC: the caps begin anew then."""
    return datetime.combine(now.astimezone(UTC).date() + timedelta(days=1), datetime.min.time(), UTC)


def _over_the_cap(key: Key, spent: int, held: int, needed_usd: Decimal) -> BudgetExceeded:
    cap = _units(key.daily_usd or Decimal(0))
    free = max(cap - spent - held, 0)
    return BudgetExceeded(
        f"daily cap of {key.key_id} ({key.app}): {_plain(cap)} USD a day, of which {_plain(spent)} are spent and "
        f"{_plain(held)} are held by running tasks; this task needs {needed_usd:f}. "
        + (f"Ask with max_usd of at most {_plain(free)}, or wait for running tasks to end. " if free else "")
        + "The cap begins anew at 00:00 UTC; an operator can make a key with a higher one."
    )


def _plain(units: int) -> str:
    text = f"{_usd(units):f}"
    return text.rstrip("0").rstrip(".")


def _existing_key(connection: sa.Connection, key_id: str) -> Key:
    row = connection.execute(_KEY_OF_ID, {"of_key": key_id}).first()
    if row is None:
        raise NotFound(f"key {key_id!r}: there is none of this id. `lakehop keys list` shows all.")
    return _key(row)


def _key(row: sa.Row[Any]) -> Key:
    return Key(
        key_id=row.key_id,
        tenant_id=row.tenant_id,
        groups=canonical_groups(json.loads(row.acl_groups)),
        app=row.app,
        daily_usd=None if row.daily_units is None else _usd(row.daily_units),
        operator=row.operator,
        created_at=datetime.fromisoformat(row.created_at),
        revoked_at=datetime.fromisoformat(row.revoked_at) if row.revoked_at else None,
    )


def _sha256(secret: str) -> str:
    # A fast hash is right here: the secret is 256 random bits, not a password that someone could guess.
    return hashlib.sha256(secret.encode()).hexdigest()


def _units(usd: Decimal) -> int:
    """Dollars as whole units of 10^-10; `InvalidInput` for what a MONEY column cannot hold."""
    if not usd.is_finite() or not 0 <= usd <= MAX_USD or usd.scaleb(MONEY_PLACES) % 1:
        raise InvalidInput(f"{usd} USD: must be 0 to {MAX_USD} with at most {MONEY_PLACES} places. Round it.")
    return int(usd.scaleb(MONEY_PLACES))


def _usd(units: int) -> Decimal:
    return Decimal(units).scaleb(-MONEY_PLACES)
