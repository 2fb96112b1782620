"""The address of a local path, as its user gave it: `lakehop ingest` and the Spark jobs must agree on it."""

import os
from pathlib import Path


def given_path(path: str) -> Path:
    """The path made absolute, with `..` taken out; links stay as they are.

    A link such as `current`, which each release moves to a new folder, stays one address: its documents change, and
    those of the release before do not stay beside them. Only what stands before a `..` is resolved, for there the
    parent of the link's target is meant.
    """
    parts = Path(path).expanduser().absolute().parts
    if ".." not in parts:
        return Path(*parts)
    last = len(parts) - parts[::-1].index("..")
    return Path(os.path.realpath(Path(*parts[:last]))).joinpath(*parts[last:])
