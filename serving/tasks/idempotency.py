"""Answers kept under the caller's `Idempotency-Key`, so that a retried /ask is neither run nor paid twice.

They are in the relational database, because they must outlive the gateway's process as the money does. An
Idempotency-Key belongs to its API key: two apps may use the same text. An answer's JSON is kept word for word, a day.
"""

import hashlib
import time
from collections.abc import Callable

import sqlalchemy as sa

from lakehouse.errors import InvalidInput
from lakehouse.storage.database import Database
from lakehouse.storage.relational_tables import STORED_ANSWERS, insert_into
from serving.contract.errors import KeyReused, StillRunning

KEPT_S = 24 * 3600


def check_idempotency_key(idempotency_key: str) -> None:
    """Raises `InvalidInput` for a key that is empty, too long, or not printable."""
    if not 1 <= len(idempotency_key) <= 255 or not idempotency_key.isprintable():
        raise InvalidInput(
            f"Idempotency-Key {idempotency_key[:40]!r}: must have 1 to 255 printable characters. Send a UUID."
        )


class StoredAnswers:
    """The kept answers; safe to share between threads. Processes share them through the database."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._database = database

    def claim(self, key_id: str, idempotency_key: str, body: str, lifetime_s: float) -> str | None:
        """The answer kept for this body, or None: then the caller runs it, and owes a `store` or a `release`.

        Raises `StillRunning` while another call runs it, `KeyReused` for another body. The claim of a killed process
        ends after `lifetime_s`, the longest that its task could have run.
        """
        check_idempotency_key(idempotency_key)
        digest, now = hashlib.sha256(body.encode()).hexdigest(), self._clock()
        row = {"key_id": key_id, "idempotency_key": idempotency_key, "question_sha256": digest}
        while True:
            with self._database.write() as connection:
                connection.execute(_DELETE_EXPIRED, {"now": now})
                if connection.execute(_CLAIM[connection.dialect.name], row | {"expires_at": now + lifetime_s}).first():
                    return None
                kept = connection.execute(_SELECT, {"key": key_id, "text": idempotency_key}).first()
            if kept:  # else another process released or deleted it meanwhile, and it is free
                break
        if kept.question_sha256 != digest:
            raise KeyReused(
                f"Idempotency-Key {idempotency_key!r}: was used for another body within a day. "
                "A retry repeats the body; a new question takes a new key."
            )
        if kept.answer is None:
            raise StillRunning(
                f"Idempotency-Key {idempotency_key!r}: its first call still runs. Retry in a few seconds."
            )
        answer: str = kept.answer
        return answer

    def store(self, key_id: str, idempotency_key: str, answer: str) -> None:
        """Keep the answer of a claimed call for a day."""
        row = {"key": key_id, "text": idempotency_key, "answer": answer, "expires_at": self._clock() + KEPT_S}
        with self._database.write() as connection:
            connection.execute(_STORE, row)

    def release(self, key_id: str, idempotency_key: str) -> None:
        """Give up the claim of a call that failed: a retry runs it anew."""
        with self._database.write() as connection:
            connection.execute(_RELEASE, {"key": key_id, "text": idempotency_key})


_COLUMNS = STORED_ANSWERS.c
_THIS_CLAIM = (_COLUMNS.key_id == sa.bindparam("key"), _COLUMNS.idempotency_key == sa.bindparam("text"))
_CLAIM = {
    dialect: insert_into(STORED_ANSWERS, dialect).on_conflict_do_nothing().returning(_COLUMNS.key_id)
    for dialect in ("sqlite", "postgresql")
}
_SELECT = sa.select(STORED_ANSWERS).where(*_THIS_CLAIM)
_STORE = sa.update(STORED_ANSWERS).where(*_THIS_CLAIM)  # sets the columns that it is executed with
_RELEASE = sa.delete(STORED_ANSWERS).where(*_THIS_CLAIM, _COLUMNS.answer.is_(None))
# Rows that another process is deleting are skipped: two processes that wait for each other's rows would deadlock.
_EXPIRED = sa.select(_COLUMNS.key_id, _COLUMNS.idempotency_key).where(_COLUMNS.expires_at <= sa.bindparam("now"))
_DELETE_EXPIRED = sa.delete(STORED_ANSWERS).where(
    sa.tuple_(_COLUMNS.key_id, _COLUMNS.idempotency_key).in_(_EXPIRED.with_for_update(skip_locked=True))
)
