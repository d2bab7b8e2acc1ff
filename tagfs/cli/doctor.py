"""`tagfs doctor`: what keeps tagfs from working here. Asks no daemon, changes nothing. Blocking."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import asdict

from tagfs.cli import exits
from tagfs.cli.common import declare_json
from tagfs.cli.output import json_list, say
from tagfs.cli.session import Session
from tagfs.cli.verb import Verb
from tagfs.config.errors import ConfigError
from tagfs.config.load import load
from tagfs.config.settings import Config
from tagfs.daemon.state import locked
from tagfs.doctor import places, running, system
from tagfs.doctor.finding import Finding, Verdict, fault
from tagfs.escape import escape


def _declare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-q", "--quiet", action="store_true", help="only what is not as it should be")
    parser.add_argument("--config", metavar="FILE", help="another config file")
    declare_json(parser)


def _run(options: argparse.Namespace, session: Session) -> int:
    found = list(_examine(options, session))
    shown = [finding for finding in found if not options.quiet or finding.verdict is not Verdict.OK]
    if options.json:
        json_list(map(asdict, shown))
    else:
        for finding in shown:
            say(_line(finding))
    return exits.FAILED if any(finding.verdict is Verdict.FAULT for finding in found) else exits.OK


def _examine(options: argparse.Namespace, session: Session) -> Iterator[Finding]:
    try:
        loaded = load(session.environ, state=session.option, file=options.config)
    except ConfigError as error:
        yield fault("config", str(error), "Mend it; docs/configuration.md has every key.")
        yield from system.examine(Config(), daemon_runs=True)
        return
    yield from system.examine(loaded.config, daemon_runs=locked(loaded.config.paths.state))
    yield from places.examine(loaded)
    yield from running.examine(loaded)


def _line(finding: Finding) -> str:
    word = finding.verdict.value if finding.verdict is Verdict.OK else finding.verdict.value.upper()
    return f"{word:<8} {finding.about}: {escape(' '.join(filter(None, (finding.sentence, finding.advice))))}"


VERBS = {
    "doctor": Verb(
        about="Looks at FUSE, libraries, limits, ports, the config file, the state directory, the disk, the database, "
        "the daemon and its mount, and says of what is not as it should be what to do. Needs no daemon and changes "
        "nothing. Exit code 1 when something does not work.",
        examples=("tagfs doctor", "tagfs doctor -q || echo mend this"),
        declare=_declare,
        run=_run,
    )
}
