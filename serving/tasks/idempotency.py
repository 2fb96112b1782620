"""Answers kept under the caller's `Idempotency-Key`, so that a retried /ask is neither run nor paid twice.

They stand in the ledger's SQLite file, because they must outlive the gateway's process as the money does. A key is
the API key's own: two apps may use the same text. What is kept: the answer's JSON, word for word, for a day.
"""

import hashlib
import threading
import time
from collections.abc import Callable
from pathlib import Path

from lakehouse.access.ledger import open_database
from lakehouse.errors import InvalidInput
from serving.contract.errors import KeyReused, StillRunning

KEPT_S = 24 * 3600
_SCHEMA = """
CREATE TABLE IF NOT EXISTS stored_answers (
    key_id TEXT NOT NULL, idempotency_key TEXT NOT NULL, question_sha256 TEXT NOT NULL,
    answer TEXT, expires_at REAL NOT NULL, PRIMARY KEY (key_id, idempotency_key)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS stored_answers_by_expiry ON stored_answers (expires_at);
"""


def check_idempotency_key(idempotency_key: str) -> None:
    """Raises InvalidInput for a key that is no short text."""
    if not 1 <= len(idempotency_key) <= 255 or not idempotency_key.isprintable():
        raise InvalidInput(
            f"Idempotency-Key {idempotency_key[:40]!r}: must have 1 to 255 printable characters. Send a UUID."
        )


class StoredAnswers:
    """The kept answers; safe to share between threads and processes."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._database = open_database(path, _SCHEMA)

    def claim(self, key_id: str, idempotency_key: str, body: str, lifetime_s: float) -> str | None:
        """The answer kept for this body, or None: then the caller runs it, and owes a `store` or a `release`.

        Raises `StillRunning` while another owns it, `KeyReused` for another body. A claim whose owner was killed is
        free again after `lifetime_s`, the longest that its task could have run.
        """
        check_idempotency_key(idempotency_key)
        digest, now = hashlib.sha256(body.encode()).hexdigest(), self._clock()
        with self._lock, self._database:
            self._database.execute("BEGIN IMMEDIATE")
            self._database.execute("DELETE FROM stored_answers WHERE expires_at <= ?", (now,))
            row = self._database.execute(
                "SELECT question_sha256, answer FROM stored_answers WHERE key_id = ? AND idempotency_key = ?",
                (key_id, idempotency_key),
            ).fetchone()
            if row is None:
                self._database.execute(
                    "INSERT INTO stored_answers VALUES (?, ?, ?, NULL, ?)",
                    (key_id, idempotency_key, digest, now + lifetime_s),
                )
                return None
        if row["question_sha256"] != digest:
            raise KeyReused(
                f"Idempotency-Key {idempotency_key!r}: was used for another body within a day. "
                "A retry repeats the body; a new question takes a new key."
            )
        if row["answer"] is None:
            raise StillRunning(
                f"Idempotency-Key {idempotency_key!r}: its first call still runs. Retry in a few seconds."
            )
        answer: str = row["answer"]
        return answer

    def store(self, key_id: str, idempotency_key: str, answer: str) -> None:
        """Keep a claimed call's answer for a day."""
        self._update(
            "UPDATE stored_answers SET answer = ?, expires_at = ? WHERE key_id = ? AND idempotency_key = ?",
            (answer, self._clock() + KEPT_S, key_id, idempotency_key),
        )

    def release(self, key_id: str, idempotency_key: str) -> None:
        """Give up a claim whose call failed: a retry runs anew."""
        self._update(
            "DELETE FROM stored_answers WHERE key_id = ? AND idempotency_key = ? AND answer IS NULL",
            (key_id, idempotency_key),
        )

    def close(self) -> None:
        """Close the file; the store is not used after."""
        with self._lock:
            self._database.close()

    def _update(self, statement: str, values: tuple[str | float, ...]) -> None:
        with self._lock:
            self._database.execute(statement, values)
