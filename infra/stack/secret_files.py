"""Secrets that the local stack generates: files under home that only their owner can read.

With the operator key the command line calls the gateway for any tenant; `lakehop up` creates it.
"""

import os
from pathlib import Path

from lakehouse.errors import NotAuthenticated
from lakehouse.settings import Settings


def write_secret(path: Path, text: str) -> None:
    """Write `text` with mode 0600 from the first byte on; replaces an existing file atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    partial.replace(path)


def ensure_operator_key(settings: Settings) -> None:
    """Create the operator key if it is missing or unknown to the ledger."""
    from lakehouse.access.ledger import Ledger
    from lakehouse.storage.database import Database

    database = Database.open(settings)
    ledger = Ledger(database)
    try:
        path = _operator_key_path(settings)
        known = ledger.authenticate(path.read_text().strip()) if path.exists() else None
        if known is None or not known.operator:
            _, secret = ledger.create_key("operator", (), "lakehop", None, operator=True)
            write_secret(path, secret + "\n")
    finally:
        database.close()


def operator_key(settings: Settings) -> str:
    """The operator key's secret. Raises NotAuthenticated before the first `lakehop up`."""
    try:
        return _operator_key_path(settings).read_text().strip()
    except OSError:
        raise NotAuthenticated(
            f"no operator key at {str(_operator_key_path(settings))!r}. Run `lakehop up`, which creates it, "
            "or set LAKEHOP_HOME to the home of the running stack."
        ) from None


def _operator_key_path(settings: Settings) -> Path:
    return settings.home / "operator.key"
