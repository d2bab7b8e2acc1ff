"""From files, environment and options to `Config`, with the origin of each value. Reads one file; any thread.

The strongest origin wins: option, environment, file, default. A key or section that does not exist, or a value that
cannot be, is one sentence (ConfigError) and exit code 2: a misspelt key silently at its default is a bug report.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from tagfs.config import paths
from tagfs.config.errors import ConfigError
from tagfs.config.kinds import keys
from tagfs.config.secrets import refuse_readable
from tagfs.config.settings import RULES, SECTIONS, Config, Paths, Rule

DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Loaded:
    """`origins` maps `section.key` to the file, variable or option that set it, or to "default"."""

    config: Config
    file: str  # looked for here, whether it exists or not
    origins: Mapping[str, str]

    @property
    def socket(self) -> str:
        return paths.socket_path(self.config.paths.state, self.config.paths.runtime)


def load(environ: Mapping[str, str], *, state: str | None = None, file: str | None = None) -> Loaded:
    """Settings as they hold for this process. `state` is the value of --state, `file` that of --config."""
    chosen = file or paths.config_file(environ)
    document = _read(chosen, must_exist=file is not None or bool(environ.get("TAGFS_CONFIG")))
    origins = {f"{section}.{key.name}": DEFAULT for section, cls in SECTIONS.items() for key in keys(cls)}
    sections: dict[str, Any] = {}
    for name, entries in document.items():
        if name == RULES:
            sections[name] = _rules(chosen, entries)
            continue
        if name not in SECTIONS:
            raise ConfigError(f"{chosen}: [{name}] is not a section{_nearest(name, [*SECTIONS, RULES])}")
        if not isinstance(entries, dict):
            raise ConfigError(f"{chosen}: {name} must be a section, [{name}].")
        sections[name] = _section(chosen, name, entries)
        origins.update({f"{name}.{key}": chosen for key in entries})
    config = Config(**sections)
    if document:
        refuse_readable(chosen, config)
    located, where = _locate(config.paths, environ, state)
    return Loaded(replace(config, paths=located, file=chosen), chosen, {**origins, **where})


def _locate(configured: Paths, environ: Mapping[str, str], option: str | None) -> tuple[Paths, dict[str, str]]:
    origins = {}
    state = configured.state
    if option:
        state, origins["paths.state"] = os.path.abspath(option), "--state"
    elif environ.get("TAGFS_STATE"):
        state, origins["paths.state"] = os.path.abspath(environ["TAGFS_STATE"]), "TAGFS_STATE"
    state = state or paths.default_state(environ)
    return Paths(state=state, runtime=configured.runtime or paths.default_runtime(environ, state)), origins


def _read(file: str, *, must_exist: bool) -> dict[str, Any]:
    try:
        with open(file, "rb") as stream:
            content = stream.read()
    except FileNotFoundError:
        if must_exist:
            raise ConfigError(f"The config file {file} does not exist.") from None
        return {}
    except OSError as error:
        raise ConfigError(f"The config file {file} cannot be read: {error.strerror}.") from error
    import tomllib  # 6 ms that a start without a config file does not pay

    try:
        return tomllib.loads(content.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"{file} is not valid TOML: {error}.") from error


def _section(file: str, name: str, entries: dict[str, Any]) -> object:
    return _parsed(f"{file}: [{name}]", SECTIONS[name], entries)


def _rules(file: str, entries: object) -> tuple[Rule, ...]:
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ConfigError(f"{file}: each rule must be a section of its own, [[{RULES}]].")
    rules = tuple(_parsed(f"{file}: rule {number}:", Rule, entry) for number, entry in enumerate(entries, 1))
    for number, rule in enumerate(rules, 1):
        if not rule.match:
            raise ConfigError(f"{file}: rule {number}: match is missing: which items is it about?")
    return rules


def _parsed(where: str, cls: type, entries: dict[str, Any]) -> Any:
    known = {key.name: key for key in keys(cls)}
    values = {}
    for key, value in entries.items():
        if key not in known:
            raise ConfigError(f"{where} {key} is not a setting{_nearest(key, list(known))}")
        try:
            values[key] = known[key].parse(value)
        except ValueError as error:
            raise ConfigError(f"{where} {key} must be {error}.") from error
    return cls(**values)


def _nearest(word: str, known: list[str]) -> str:
    """How the sentence ends that says `word` is none of `known`."""
    import difflib  # only on the way to an error

    near = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean {near[0]}?" if near else "."
