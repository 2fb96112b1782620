"""API keys and what each may spend in a day, in one SQLite file that the gateway and the command line share.

Here and not in Delta, because a spend cap is a decision before each task: it needs a transaction that takes about
a millisecond and that threads and processes cannot interleave (`BEGIN IMMEDIATE`). What was spent is decided by the
call records in the lakehouse; the ledger only holds the caps.

Money is stored as whole units of 10^-10 US dollars, the ten places of every MONEY column, so that sums are exact.
A day is a day in UTC, and a task counts on the day on which it began.
"""

import contextlib
import hashlib
import json
import os
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from lakehouse.access.permissions import canonical_groups, check_tenant
from lakehouse.errors import BudgetExceeded, InvalidInput, NotFound

SECRET_PREFIX = "lh_"  # noqa: S105 (lets a secret scanner find a leaked key)
MONEY_PLACES = 10
MAX_USD = Decimal(99_999_999)  # what a MONEY column holds
# A process waits this long for another's transaction, each of which takes about a millisecond.
BUSY_TIMEOUT_S = 10.0
_SCHEMA = """
CREATE TABLE IF NOT EXISTS keys (
    key_id TEXT PRIMARY KEY, secret_sha256 TEXT NOT NULL UNIQUE, tenant_id TEXT NOT NULL, acl_groups TEXT NOT NULL,
    app TEXT NOT NULL, daily_units INTEGER, operator INTEGER NOT NULL, created_at TEXT NOT NULL, revoked_at TEXT
) STRICT;
CREATE TABLE IF NOT EXISTS settled (
    key_id TEXT NOT NULL, day TEXT NOT NULL, units INTEGER NOT NULL, PRIMARY KEY (key_id, day)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS reservations (
    reservation_id TEXT PRIMARY KEY, key_id TEXT NOT NULL, day TEXT NOT NULL,
    reserved_units INTEGER NOT NULL, spent_units INTEGER NOT NULL DEFAULT 0, expires_at REAL NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS reservations_by_day ON reservations (key_id, day);
"""


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


def open_database(path: Path, schema: str) -> sqlite3.Connection:
    """Open, or create for its owner only, an SQLite file in WAL mode that several threads and processes may share."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # Never open an existing file beside SQLite: closing it again would drop the locks that this process holds on it.
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL, 0o600))
    database = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
    database.row_factory = sqlite3.Row
    database.execute("PRAGMA synchronous = FULL")  # a settled dollar survives a power cut, for one fsync a task
    deadline = time.monotonic() + BUSY_TIMEOUT_S
    while True:  # the change to WAL fails at once, without the timeout, while another process makes it
        try:
            database.execute("PRAGMA journal_mode = WAL")
            database.executescript(schema)
            return database
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


class Ledger:
    """Keys and spend; safe to share between threads, and between processes that open the same file."""

    def __init__(self, path: Path, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._database = open_database(path, _SCHEMA)

    def create_key(
        self, tenant_id: str, groups: Iterable[str], app: str, daily_usd: Decimal | None, operator: bool = False
    ) -> tuple[str, str]:
        """Make a key; return its id and its secret, which is shown this once and stored only as a SHA-256.

        `daily_usd` caps what the key's tasks spend in a UTC day; None: no cap. An operator key may act for any
        tenant and group. Raises `InvalidInput` for a bad tenant, group, app or cap.
        """
        if not app.strip() or len(app) > 128:
            raise InvalidInput(f"app {app[:40]!r}: must have 1 to 128 characters. Name the program that uses the key.")
        cap = None if daily_usd is None else _units(daily_usd)
        if cap == 0:
            raise InvalidInput(f"daily_usd {daily_usd}: must be above 0. To stop a key, revoke it.")
        key_id, secret = "key_" + secrets.token_hex(6), SECRET_PREFIX + secrets.token_urlsafe(32)
        row = (
            key_id,
            _sha256(secret),
            check_tenant(tenant_id),
            json.dumps(canonical_groups(groups)),
            app.strip(),
            cap,
            operator,
            self._clock().isoformat(),
        )
        with self._transaction() as database:
            database.execute("INSERT INTO keys VALUES (?, ?, ?, ?, ?, ?, ?, ?, NULL)", row)
        return key_id, secret

    def revoke(self, key_id: str) -> None:
        """Refuse the key from now on; `NotFound` for an id that never was. Revoking twice changes nothing."""
        with self._transaction() as database:
            self._key(database, key_id)
            database.execute(
                "UPDATE keys SET revoked_at = ? WHERE key_id = ? AND revoked_at IS NULL",
                (self._clock().isoformat(), key_id),
            )

    def list_keys(self) -> list[Key]:
        """All keys, revoked ones too, oldest first."""
        with self._lock:
            rows = self._database.execute("SELECT * FROM keys ORDER BY created_at, key_id").fetchall()
        return [_key(row) for row in rows]

    def authenticate(self, secret: str) -> Key | None:
        """The key that a secret opens; None when it is unknown or revoked.

        The look-up is by the secret's hash, so its time says nothing about how much of a guess was right.
        """
        with self._lock:
            row = self._database.execute(
                "SELECT * FROM keys WHERE secret_sha256 = ? AND revoked_at IS NULL", (_sha256(secret),)
            ).fetchone()
        return _key(row) if row else None

    def reserve(
        self, key_id: str, usd: Decimal, *, at_least: Decimal | None = None, lifetime_s: float = 960
    ) -> Reservation:
        """Hold `usd` of the key's day for one task, or what is free of it, down to `at_least` (default: all or none).

        Settled, spent and held money together never pass the cap, however many threads and processes reserve at
        once. Raises `BudgetExceeded` when too little is free.

        `lifetime_s` is how long the task can run at most. A reservation older than that belongs to a killed
        process: it no longer holds anything, and counts what was `accrue`d on it.
        """
        now = self._clock()
        reservation_id, day = "res_" + secrets.token_hex(8), now.date().isoformat()
        wanted = _units(usd)
        with self._transaction() as database:
            key = self._key(database, key_id)
            if key.daily_usd is not None:
                spent, held = self._spent_and_held(database, key_id, day)
                free = _units(key.daily_usd) - spent - held
                if free < (wanted if at_least is None else min(wanted, _units(at_least))):
                    raise _over_the_cap(key, spent, held, usd if at_least is None else at_least)
                wanted = min(wanted, free)
            database.execute(
                "INSERT INTO reservations VALUES (?, ?, ?, ?, 0, ?)",
                (reservation_id, key_id, day, wanted, now.timestamp() + lifetime_s),
            )
        return Reservation(reservation_id, key_id, day, _usd(wanted))

    def accrue(self, reservation: Reservation, spent_usd: Decimal) -> None:
        """Note what a running task has spent so far in all, so that a killed process leaves the truth behind."""
        with self._transaction() as database:
            database.execute(
                "UPDATE reservations SET spent_units = max(spent_units, ?) WHERE reservation_id = ?",
                (_units(spent_usd), reservation.reservation_id),
            )

    def settle(self, reservation: Reservation, actual_usd: Decimal) -> None:
        """End a reservation and book what the task really cost, on the day on which it began. A second one is void."""
        with self._transaction() as database:
            ended = database.execute(
                "DELETE FROM reservations WHERE reservation_id = ?", (reservation.reservation_id,)
            ).rowcount
            if ended:
                database.execute(
                    "INSERT INTO settled VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET units = units + excluded.units",
                    (reservation.key_id, reservation.day, _units(actual_usd)),
                )

    def today(self, key_id: str) -> DailySpend:
        """What the key has spent and holds today; `NotFound` for an unknown key."""
        day = self._clock().date().isoformat()
        with self._lock:
            key = self._key(self._database, key_id)
            spent, held = self._spent_and_held(self._database, key_id, day)
        return DailySpend(day, _usd(spent), _usd(held), key.daily_usd)

    def spent_today(self, key_id: str) -> Decimal:
        """US dollars that the key has spent today."""
        return self.today(key_id).spent_usd

    def close(self) -> None:
        """Close the file; the ledger is not used after."""
        with self._lock:
            self._database.close()

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """The write lock from the first statement on: what is read in it cannot be outdated when it writes."""
        with self._lock:
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield self._database
            except BaseException:
                self._database.execute("ROLLBACK")
                raise
            self._database.execute("COMMIT")

    def _key(self, database: sqlite3.Connection, key_id: str) -> Key:
        row = database.execute("SELECT * FROM keys WHERE key_id = ?", (key_id,)).fetchone()
        if row is None:
            raise NotFound(f"key {key_id!r}: there is none of this id. `lakehop keys list` shows all.")
        return _key(row)

    def _spent_and_held(self, database: sqlite3.Connection, key_id: str, day: str) -> tuple[int, int]:
        """Units spent on a day, running tasks included, and units that running tasks still hold beyond that."""
        running, held = database.execute(
            "SELECT coalesce(sum(spent_units), 0), "
            "coalesce(sum(max(reserved_units - spent_units, 0)) FILTER (WHERE expires_at > ?), 0) "
            "FROM reservations WHERE key_id = ? AND day = ?",
            (self._clock().timestamp(), key_id, day),
        ).fetchone()
        row = database.execute("SELECT units FROM settled WHERE key_id = ? AND day = ?", (key_id, day)).fetchone()
        return running + (row["units"] if row else 0), held


def next_day(now: datetime) -> datetime:
    """When the caps begin anew: the coming midnight, UTC."""
    return datetime.combine(now.astimezone(UTC).date() + timedelta(days=1), datetime.min.time(), UTC)


def _over_the_cap(key: Key, spent: int, held: int, needed_usd: Decimal) -> BudgetExceeded:
    cap = _units(key.daily_usd or Decimal(0))
    free = max(cap - spent - held, 0)
    return BudgetExceeded(
        f"daily cap of {key.key_id} ({key.app}): {_shown(cap)} USD a day, of which {_shown(spent)} are spent and "
        f"{_shown(held)} are held by running tasks; this task needs {needed_usd:f}. "
        + (f"Ask with max_usd of at most {_shown(free)}, or wait for running tasks to end. " if free else "")
        + "The cap begins anew at 00:00 UTC; an operator can make a key with a higher one."
    )


def _shown(units: int) -> str:
    text = f"{_usd(units):f}"
    return text.rstrip("0").rstrip(".")


def _key(row: sqlite3.Row) -> Key:
    return Key(
        key_id=row["key_id"],
        tenant_id=row["tenant_id"],
        groups=tuple(json.loads(row["acl_groups"])),
        app=row["app"],
        daily_usd=None if row["daily_units"] is None else _usd(row["daily_units"]),
        operator=bool(row["operator"]),
        created_at=datetime.fromisoformat(row["created_at"]),
        revoked_at=datetime.fromisoformat(row["revoked_at"]) if row["revoked_at"] else None,
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
