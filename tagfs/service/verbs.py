"""All verbs of the control socket in one object. Trio thread."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

from tagfs import __version__
from tagfs.control.views import VersionView
from tagfs.service.backups import Backups
from tagfs.service.content import Content
from tagfs.service.downloads import Downloads
from tagfs.service.events import Events
from tagfs.service.history import History
from tagfs.service.items import Items
from tagfs.service.loading import Loader
from tagfs.service.queries import SavedQueries
from tagfs.service.relations import TagRelations
from tagfs.service.retagging import Retaggings
from tagfs.service.suggestions import Suggestions
from tagfs.service.tags import Tags
from tagfs.service.trash import Trash
from tagfs.service.verifying import Verifying


@dataclass(frozen=True)
class Service(
    Downloads,
    Events,
    Items,
    Tags,
    Retaggings,
    TagRelations,
    SavedQueries,
    Suggestions,
    History,
    Trash,
    Content,
    Loader,
    Backups,
    Verifying,
):
    """Implements `tagfs.control.verbs.Verbs`. `end` begins the end of the daemon and returns at once."""

    end: Callable[[], None] = lambda: None

    async def version(self) -> VersionView:
        return VersionView(__version__, os.getpid(), self.context.mountpoint, self.context.store)

    async def stop(self) -> None:
        self.end()
