"""Builds the settings of a process from its environment and an optional TOML file."""

import difflib
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from lakehouse.errors import SettingsError
from lakehouse.settings.all import Settings
from lakehouse.settings.base import PREFIX


def load_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Build the process's settings; raise `SettingsError` naming each bad value, what is allowed, and what to do."""
    environ = os.environ if environ is None else environ
    given = _from_file(environ.get(PREFIX + "CONFIG")) | _from_environment(environ)
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
        return tomllib.loads(Path(path).read_text())
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{PREFIX}CONFIG={path!r}: {error}. Name a readable TOML file, or unset it.") from None


def _explain(error: Any) -> str:
    name = str(error["loc"][0])
    return f"{PREFIX}{name.upper()}={error['input']!r}: {error['msg']}. {Settings.model_fields[name].description}"
