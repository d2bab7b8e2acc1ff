"""Items and transfers as the socket shows them. Trio thread; point reads only."""

from __future__ import annotations

from engine.types import Item, Kind, State, timestamp
from tagfs.control.views import DownloadView, ItemView
from tagfs.vfs.context import Context
from tagfs.vfs.xattrs import inherited


def item_view(context: Context, item: Item) -> ItemView:
    return ItemView(
        id=item.id,
        name=item.name,
        kind=item.kind.value,
        state=item.state.value,
        size=_size(context, item),
        done=_done(context, item),
        tags=context.catalogue.tags(item.id),
        sha256=item.sha256,
        added=timestamp(item.added_ns),
        mtime=timestamp(item.mtime_ns),
        url=_url(context, item),
        error=item.error,
        trashed=None if item.trashed_ns is None else timestamp(item.trashed_ns),
        folder=item.parent,
        inherited=inherited(context.catalogue, item),
        target=item.target,
    )


def download_view(context: Context, item: Item) -> DownloadView:
    progress = context.transfers.progress(item.id)
    running = progress is not None and item.state is State.DOWNLOADING
    retry_ns = progress.retry_at_ns if progress is not None else None
    return DownloadView(
        id=item.id,
        name=item.name,
        state=item.state.value,
        done=_done(context, item),
        total=_size(context, item),
        speed=progress.speed if progress is not None and running else 0.0,
        eta=progress.eta if progress is not None and running else None,
        connections=progress.connections if progress is not None else 0,
        retry_at=None if retry_ns is None else timestamp(retry_ns),
        url=_url(context, item),
        error=item.error,
    )


def _size(context: Context, item: Item) -> int | None:
    if item.kind is Kind.SYMLINK or item.state.whole:
        return item.size or 0
    if item.state is State.WRITING:
        return context.drafts.size(item.id)
    progress = context.transfers.progress(item.id)
    return item.size if progress is None or progress.total is None else progress.total


def _done(context: Context, item: Item) -> int:
    if item.state.whole:
        return item.size or 0
    if item.state is State.WRITING:
        return context.drafts.size(item.id) or 0
    progress = context.transfers.progress(item.id)
    return progress.done if progress is not None else 0


def _url(context: Context, item: Item) -> str | None:
    return next((source.public_url for source in context.catalogue.sources(item.id) if source.public_url), None)
