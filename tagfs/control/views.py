"""What verbs answer with: plain frozen values, the same on both sides of the socket. Pure; any thread.

The field names are the keys of every --json output (docs/cli.md) and stay as they are: fields may be added, never
renamed or removed. Names are `str` with surrogateescape, as `os.fsdecode` gives them. Instants are RFC 3339 texts in
UTC (`2026-11-23T10:00:00Z`), sizes are bytes, speeds bytes a second, durations seconds. URLs come without userinfo,
secrets and fragment.

This module gathers them for the daemon. The command line imports the one that it needs: each frozen dataclass takes
half a millisecond to make.
"""

from tagfs.control.views_added import AddedView
from tagfs.control.views_downloads import DownloadView, ScrubView, StatusView, VersionView
from tagfs.control.views_events import EventView
from tagfs.control.views_history import (
    ChangePage,
    ChangeView,
    ConcernedView,
    EmptiedView,
    TrashPage,
    TrashView,
    UndoneView,
)
from tagfs.control.views_items import ItemPage, ItemView, TagPage, TagView
from tagfs.control.views_relations import RelationView, SavedQueryView
from tagfs.control.views_suggest import (
    DecidedView,
    ProposalView,
    RulesView,
    RuleView,
    SuggestionPage,
    SuggestionView,
)
from tagfs.control.views_work import (
    BackupView,
    ContentView,
    FaultView,
    ImportView,
    LinesView,
    LoadedView,
    RetaggedView,
    SkippedView,
    VerifyView,
    WorkView,
)

__all__ = [
    "AddedView",
    "BackupView",
    "ChangePage",
    "ChangeView",
    "ConcernedView",
    "ContentView",
    "DecidedView",
    "DownloadView",
    "EmptiedView",
    "EventView",
    "FaultView",
    "ImportView",
    "ItemPage",
    "ItemView",
    "LinesView",
    "LoadedView",
    "ProposalView",
    "RelationView",
    "RetaggedView",
    "RuleView",
    "RulesView",
    "SavedQueryView",
    "ScrubView",
    "SkippedView",
    "StatusView",
    "SuggestionPage",
    "SuggestionView",
    "TagPage",
    "TagView",
    "TrashPage",
    "TrashView",
    "UndoneView",
    "VerifyView",
    "VersionView",
    "WorkView",
]
