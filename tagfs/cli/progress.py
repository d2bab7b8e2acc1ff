"""Progress of a long call on standard error: a bar on a terminal, a plain line now and then elsewhere. Blocking."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from tagfs.amounts import counted
from tagfs.cli.display import size
from tagfs.control.views_work import WorkView
from tagfs.escape import escape

PLAIN_INTERVAL = 10.0  # seconds between two plain lines: a log should not be made of them


@contextmanager
def work(title: str) -> Iterator[Callable[[WorkView], None]]:
    """What to call with each report. Nothing is shown, and rich is not imported, unless there is a report."""
    with ExitStack() as shown:
        yield _bar(shown) if sys.stderr.isatty() else _plain(title)


def _plain(title: str) -> Callable[[WorkView], None]:
    due = time.monotonic() + PLAIN_INTERVAL

    def report(view: WorkView) -> None:
        nonlocal due
        if (now := time.monotonic()) >= due:
            due = now + PLAIN_INTERVAL
            print(f"{title}: {amounts(view)}", file=sys.stderr, flush=True)

    return report


def amounts(view: WorkView) -> str:
    """`copying 3 of 10 items, 12.0 MiB of 1.0 GiB`; without the bytes where there are none."""
    items = f"{escape(view.step)} {view.items_done} of {counted(view.items_total, 'item')}"
    return f"{items}, {size(view.bytes_done)} of {size(view.bytes_total)}" if view.bytes_total else items


def _bar(shown: ExitStack) -> Callable[[WorkView], None]:
    task = None

    def report(view: WorkView) -> None:
        nonlocal task
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

        if task is None:
            text = TextColumn("{task.description}", markup=False)
            bar = Progress(
                text, BarColumn(), TransferSpeedColumn(), TimeRemainingColumn(),
                console=Console(stderr=True), auto_refresh=False, transient=True,
            )  # fmt: skip
            task = (shown.enter_context(bar), bar.add_task(""))
        progress, number = task
        name = escape(view.name)
        progress.update(
            number,
            description=amounts(view) + (f"  {name[:40]}" if name else ""),
            completed=view.bytes_done if view.bytes_total else view.items_done,
            total=view.bytes_total or view.items_total or None,
        )
        progress.refresh()

    return report
