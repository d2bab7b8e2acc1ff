"""The one error of settings. Imports nothing."""

from __future__ import annotations


class ConfigError(Exception):
    """A setting that cannot be used; `str(error)` is one sentence that names the file or option and the key."""
