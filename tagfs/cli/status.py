"""`tagfs status`: the daemon and its downloads, once or as they change. Blocking."""

from __future__ import annotations

import argparse
import sys

from tagfs.amounts import counted
from tagfs.cli import exits
from tagfs.cli.common import declare_items, declare_json
from tagfs.cli.display import columns, duration, instant, percent, rate, size
from tagfs.cli.output import json_value, say
from tagfs.cli.refs import resolve
from tagfs.cli.session import Session
from tagfs.cli.verb import UsageError, Verb
from tagfs.control.client import Client
from tagfs.control.views_downloads import DownloadView, StatusView
from tagfs.escape import escape, tame


def _declare(parser: argparse.ArgumentParser) -> None:
    declare_items(parser, at_least_one=False)
    parser.add_argument("-f", "--follow", action="store_true", help="show changes until all have ended, or Ctrl-C")
    parser.add_argument("--interval", metavar="SECONDS", type=float, default=0.5, help="between two looks (0.5)")
    parser.add_argument("--limit", metavar="N", type=int, default=100, help="show so many downloads at most (100)")
    declare_json(parser, "print JSON, with -f one value a line; docs/cli.md lists the keys")


def _run(options: argparse.Namespace, session: Session) -> int:
    if options.limit < 0 or not 0.1 <= options.interval <= 3600:
        raise UsageError("--limit is not negative, and --interval is from 0.1 to 3600 seconds.")
    params = {"items": resolve(options.items, session.info()), "limit": options.limit}
    with session.client() as client:
        if options.follow:
            last = _follow(client, {**params, "interval": options.interval}, as_json=options.json)
        else:
            last = client.call("status", params, StatusView)
            if options.json:
                json_value(last)
            else:
                for line in report(last):
                    say(line)
    failed = options.items and options.follow and any(download.state == "failed" for download in last.downloads)
    return exits.FAILED if failed else exits.OK


def _follow(client: Client, params: dict[str, object], *, as_json: bool) -> StatusView:
    """Show what `watch` reports; the status it ends with."""

    def watch(show: object) -> StatusView:
        last: StatusView = client.call("watch", params, StatusView, report=(StatusView, show))  # type: ignore[arg-type]
        return last

    if as_json:
        last = watch(json_value)
        json_value(last)
        return last
    if sys.stdout.isatty():
        from tagfs.cli.live import shown

        with shown() as show:
            last = watch(show)
            show(last)
        return last
    changes = Changes()
    last = watch(changes.say)
    changes.say(last)
    return last


def report(status: StatusView) -> list[str]:
    """The lines of a status: the daemon, then a line a download."""
    lines = [summary(status), *(f"degraded: {tame(sentence)}" for sentence in status.degraded), *scrubbed(status)]
    lines += columns(map(_row, status.downloads), right=[2, 3, 4, 5])
    if status.more:
        lines.append(f"... and {status.more} more; --limit shows them")
    return lines


def summary(status: StatusView) -> str:
    """`tagfs 0.1.0 at /home/me/T, up 5h07m: 120 items (3 downloading, 1 failed), 2 in the trash, 12.0 MiB/s`."""
    states = [f"{count} {state}" for state, count in status.by_state.items() if count and state != "complete"]
    where = f"tagfs {status.version} at {escape(status.mountpoint)}"
    return "".join(
        (
            f"{where}, up {duration(status.uptime)}: {counted(status.items, 'item')}",
            f" ({', '.join(states)})" if states else "",
            f", {status.trashed} in the trash" if status.trashed else "",
            f", {rate(status.speed)}" if status.speed else "",
        )
    )


def scrubbed(status: StatusView) -> list[str]:
    """`contents read again: 45% of 12.0 GiB since 2026-11-20 10:00, none damaged`; nothing where that never was."""
    if status.scrub is None:
        return []
    scrub = status.scrub
    damaged = f"{scrub.damaged} damaged: see tagfs verify --data" if scrub.damaged else "none damaged"
    if scrub.ended is not None:
        return [f"contents read again: all {size(scrub.total)} on {instant(scrub.ended)}, {damaged}"]
    part = f"{percent(scrub.read, scrub.total)} of {size(scrub.total)}"
    return [f"contents read again: {part} since {instant(scrub.began)}, {damaged}"]


def tail(download: DownloadView) -> str:
    """The name, and why it is not getting on."""
    why = f" ({download.error})" if download.error else ""
    retry = f" (again at {download.retry_at})" if download.retry_at else ""
    return escape(download.name + why + retry)


def _row(download: DownloadView) -> tuple[str, ...]:
    arrived = f"{size(download.done)} of {size(download.total)}"
    return (
        f"id:{download.id}", download.state, percent(download.done, download.total), arrived, rate(download.speed),
        duration(download.eta), tail(download),
    )  # fmt: skip


class Changes:
    """Says of a followed status what changed since the last one: states, and each tenth of a download. The state is
    what was said of each download."""

    def __init__(self) -> None:
        self._said: dict[int, tuple[str, int]] = {}

    def say(self, status: StatusView) -> None:
        for download in status.downloads:
            for line in self.lines(download):
                say(line)
        sys.stdout.flush()

    def lines(self, download: DownloadView) -> list[str]:
        """Nothing, or the one line that is news."""
        tenth = download.done * 10 // download.total if download.total else 0
        if self._said.get(download.id) == (download.state, tenth):
            return []
        self._said[download.id] = (download.state, tenth)
        share = percent(download.done, download.total)
        return [f"{download.state} {share} of {size(download.total)} id:{download.id} {tail(download)}"]


VERBS = {
    "status": Verb(
        about="Without ITEMs: all downloads that are not whole, the running ones first. With -f it shows bars on a "
        "terminal and lines elsewhere, ends when the downloads have ended, and fails (1) when one of the "
        "ITEMs failed.",
        examples=(
            "tagfs status",
            "tagfs status -f",
            "tagfs add URL && tagfs status -f debian.iso && echo here",
            "tagfs status --json",
        ),
        declare=_declare,
        run=_run,
    )
}
