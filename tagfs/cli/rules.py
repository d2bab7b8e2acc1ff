"""`tagfs rules`: the rules of the config file, and applying them to what is there. Blocking."""

from __future__ import annotations

import argparse

from tagfs.cli import exits
from tagfs.cli.common import declare_json
from tagfs.cli.display import columns
from tagfs.cli.output import json_value, say
from tagfs.cli.progress import work
from tagfs.cli.session import Session
from tagfs.cli.verb import UsageError, Verb
from tagfs.control.views_suggest import RulesView, RuleView
from tagfs.control.views_work import WorkView
from tagfs.escape import escape


def _declare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--apply", action="store_true", help="apply them to the items that are there")
    parser.add_argument("--dry-run", action="store_true", help="with --apply: only say how many tags that would put on")
    declare_json(parser)


def _run(options: argparse.Namespace, session: Session) -> int:
    if options.dry_run and not options.apply:
        raise UsageError("--dry-run goes with --apply.")
    params = {"apply": options.apply and not options.dry_run, "dry_run": options.dry_run}
    with session.client() as client, work("rules") as report:
        found: RulesView = client.call("rules", params, RulesView, report=(WorkView, report))
    if options.json:
        json_value(found)
        return exits.OK
    for line in columns(map(_row, found.rules), right=[0, 1]):
        say(line)
    if options.apply:
        say(f"{'tags that would be put on' if options.dry_run else 'tags put on'}: {found.tags}")
    return exits.OK


def _row(rule: RuleView) -> tuple[str, ...]:
    gives = [escape(",".join(rule.tags))] if rule.tags else []
    if rule.accept:
        gives.append(f"accepts {escape(','.join(rule.accept))}")
    return str(rule.number), str(rule.items), escape(rule.match), "->", "; ".join(gives)


VERBS = {
    "rules": Verb(
        about="Each line is a rule of the config file with how many items match it. A rule is applied to each item "
        "once, when it is added or has arrived, and never puts back what you took off; --apply does it for those that "
        "were there before the rule.",
        examples=("tagfs rules", "tagfs rules --apply --dry-run", "tagfs rules --apply"),
        declare=_declare,
        run=_run,
    )
}
