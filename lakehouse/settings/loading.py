"""Builds the settings of a process from its environment and an optional TOML file."""

import difflib
import logging
import os
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from lakehouse.errors import SettingsError
from lakehouse.settings.all import Settings
from lakehouse.settings.base import PREFIX

log = logging.getLogger("lakehop.settings")

RENAMED = {"tasks_database_url": "database_url"}
"""Old name of a setting to its new name. An old name works for one release, with a warning."""


def load_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Build the process's settings; raise `SettingsError` naming each bad value, what is allowed, and what to do."""
    environ = os.environ if environ is None else environ
    given = _renamed(_from_file(environ.get(PREFIX + "CONFIG")) | _from_environment(environ))
    for name in given:
        if name not in Settings.model_fields:
            near = difflib.get_close_matches(name, Settings.model_fields, n=1)
            hint = f"did you mean {PREFIX}{near[0].upper()}?" if near else "`lakehop status` lists all settings."
            raise SettingsError(f"unknown setting {PREFIX}{name.upper()}: {hint}")
    try:
        return Settings(**given)
    except ValidationError as error:
        raise SettingsError("\n".join(_explain(e) for e in error.errors())) from None


def _from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    names = (name for name in environ if name.startswith(PREFIX) and name != PREFIX + "CONFIG")
    return {name.removeprefix(PREFIX).lower(): environ[name] for name in names}


def _from_file(path: str | None) -> dict[str, Any]:
    if not path:
        return {}
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{PREFIX}CONFIG={path!r}: {error}. Name a readable TOML file, or unset it.") from None


def _renamed(given: dict[str, Any]) -> dict[str, Any]:
    """Move values from old names to new names, with a warning for each."""
    current = {name: value for name, value in given.items() if name not in RENAMED}
    for old in given.keys() & RENAMED.keys():
        new = RENAMED[old]
        old_variable, new_variable = PREFIX + old.upper(), PREFIX + new.upper()
        if current.setdefault(new, given[old]) != given[old]:
            raise SettingsError(
                f"{old_variable} is the old name of {new_variable}, and the two have different values. "
                f"Remove {old_variable}."
            )
        _warn(f"{old_variable} is now {new_variable}; the next release refuses the old name. Rename it.")
    return current


def _warn(message: str) -> None:
    """Warn in the log of a service, and on standard error for a person at a terminal."""
    print(f"warning: {message}", file=sys.stderr)
    if log.hasHandlers():  # without handlers, logging would print the message to standard error a second time
        log.warning(message)


def _explain(error: Any) -> str:
    name = str(error["loc"][0])
    return f"{PREFIX}{name.upper()}={error['input']!r}: {error['msg']}. {Settings.model_fields[name].description}"
