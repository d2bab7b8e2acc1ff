"""The text of /.tagfs/status: a page for people, as of the moment it is opened. Trio thread; memory only."""

from __future__ import annotations

import os

from tagfs import __version__
from tagfs.vfs.context import Context


def render(context: Context) -> str:
    states = context.index.values("state")
    lines = [
        f"tagfs {__version__}, process {os.getpid()}",
        f"mount   {context.mountpoint}",
        f"state   {context.store}",
        f"items   {len(context.index.live)}",
        f"tags    {len(context.index.tag_list())}",
        *(f"{state.name:<12} {state.items}" for state in states),
    ]
    bad = context.inbox.bad
    if bad:
        lines.append(f"{'inbox':<12} {bad} that cannot be read")
    lines += [f"{'degraded':<12} {sentence}" for sentence in context.degraded()]
    return "\n".join(lines) + "\n"
