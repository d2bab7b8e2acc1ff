"""`tagfs status -f` on a terminal: bars that move. The only file besides `progress` that imports rich."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from tagfs.cli.display import UNKNOWN, duration, percent, rate, size
from tagfs.cli.status import summary, tail
from tagfs.control.views_downloads import DownloadView, StatusView

HEAD = 3  # lines that are no download: summary, what does not fit, and the cursor's


@contextmanager
def shown(console: Console | None = None) -> Iterator[Callable[[StatusView], None]]:
    """What to call with each status. The last one stays on the screen."""
    with Live(console=console or Console(highlight=False), auto_refresh=False) as live:

        def show(status: StatusView) -> None:
            live.update(_frame(status, live.console.height - HEAD), refresh=True)

        yield show


def _frame(status: StatusView, places: int) -> Group:
    table = Table.grid(padding=(0, 1), expand=True)
    for side in ("left", "right", "right", "right", "right"):
        table.add_column(justify="right" if side == "right" else "left", no_wrap=True)
    table.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    for download in status.downloads[: max(places, 1)]:
        table.add_row(_bar(download), *map(Text, _amounts(download)), Text(tail(download)))  # Text: names are no markup
    hidden = status.more + max(0, len(status.downloads) - max(places, 1))
    parts: list[Text | Table] = [Text(summary(status)), table]
    return Group(*parts, Text(f"... and {hidden} more") if hidden else Text(""))


def _bar(download: DownloadView) -> ProgressBar | Text:
    if download.state == "downloading":
        return ProgressBar(total=download.total, completed=download.done, width=20, pulse=download.total is None)
    return Text(download.state.ljust(20), style="red" if download.state == "failed" else "")


def _amounts(download: DownloadView) -> tuple[str, str, str, str]:
    eta = duration(download.eta) if download.state == "downloading" else UNKNOWN
    return percent(download.done, download.total), size(download.total), rate(download.speed), eta
