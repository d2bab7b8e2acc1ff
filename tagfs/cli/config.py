"""`tagfs config`: what is set, and by what. Reads files, asks no daemon. Blocking."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence

from tagfs.cli import exits
from tagfs.cli.common import declare_json
from tagfs.cli.output import json_list, say
from tagfs.cli.session import Session
from tagfs.cli.verb import Verb
from tagfs.config.kinds import keys
from tagfs.config.load import Loaded, load
from tagfs.config.secrets import redacted
from tagfs.config.settings import SECTIONS, Rule
from tagfs.escape import escape


def _declare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", nargs="?", choices=["path"], help="path: print the path of the config file only")
    parser.add_argument("--config", metavar="FILE", help="another config file")
    declare_json(parser)


def _run(options: argparse.Namespace, session: Session) -> int:
    if options.what == "path" and not options.config:
        from tagfs.config.paths import config_file

        say(escape(config_file(session.environ)))
        return exits.OK
    loaded = load(session.environ, state=session.option, file=options.config)
    if options.what == "path":
        say(escape(loaded.file))
    elif options.json:
        json_list({"key": key, "value": value, "origin": origin} for key, value, origin in _effective(loaded))
    else:
        rows = [(key, escape(_toml(value)), f"# {escape(origin)}") for key, value, origin in _effective(loaded)]
        for line in _aligned(rows, shutil.get_terminal_size().columns) if sys.stdout.isatty() else map(_line, rows):
            say(line)
    return exits.OK


def _effective(loaded: Loaded) -> Iterator[tuple[str, object, str]]:
    """(section.key, value without secrets, origin)."""
    for section, cls in SECTIONS.items():
        for key in keys(cls):
            name = f"{section}.{key.name}"
            value = getattr(getattr(loaded.config, section), key.name)
            yield name, redacted(key.name, f"{value:03o}" if key.name == "umask" else value), loaded.origins[name]
    for number, rule in enumerate(loaded.config.rules, 1):
        for key in keys(Rule):
            yield f"rules.{number}.{key.name}", getattr(rule, key.name), loaded.file


def _line(row: tuple[str, str, str]) -> str:
    key, value, origin = row
    return f"{key} = {value}  {origin}"


def _aligned(rows: Sequence[tuple[str, str, str]], width: int) -> Iterator[str]:
    """In three columns, within `width` where no word is longer: what has no place beside the others goes on below."""
    import textwrap

    indent = max(len(key) for key, _, _ in rows) + 3
    room = max(width - indent, 20)
    column = max((len(value) for _, value, origin in rows if len(value) + 2 + len(origin) <= room), default=0)
    for key, value, origin in rows:
        lines = textwrap.wrap(value, room, break_long_words=False, break_on_hyphens=False)
        for told in (f"{lines[-1]:<{column}}  {origin}", f"{lines[-1]}  {origin}"):
            if len(told) <= room:
                lines[-1] = told
                break
        else:
            lines.append(origin)
        for number, line in enumerate(lines):
            yield (" " * indent if number else f"{key:<{indent - 3}} = ") + line


def _toml(value: object) -> str:
    """The value as a config file would have it; unset is the empty text."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{json.dumps(name)} = {_toml(text)}" for name, text in value.items()) + "}"
    if isinstance(value, float):
        return f"{value:g}"
    return json.dumps("" if value is None else value, ensure_ascii=False)


VERBS = {
    "config": Verb(
        about="Secrets show as ***. docs/configuration.md explains each key.",
        examples=("tagfs config", '${EDITOR:-vi} "$(tagfs config path)"'),
        declare=_declare,
        run=_run,
    )
}
