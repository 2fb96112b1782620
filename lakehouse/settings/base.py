"""What every group of settings is made of."""

from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel

PREFIX = "LAKEHOP_"
PROJECT_ROOT = Path(__file__).resolve().parents[2]


class SettingsGroup(BaseModel, frozen=True, extra="forbid"):
    """A group of settings. Functions that need one group may ask for it in place of all `Settings`."""


def _http_url(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must be a URL such as http://127.0.0.1:3000")
    return url.rstrip("/")


HttpUrl = Annotated[str, AfterValidator(_http_url)]
"""An http or https URL without a trailing slash."""
