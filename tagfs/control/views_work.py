"""Long work and what came of it, as verbs answer with it; see `views`. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class WorkView:
    """Progress of a long call. Totals grow while the work is still being found."""

    step: str  # one word: scanning, copying, hashing, mending, waiting, tagging, loading
    name: str  # what is being worked on
    items_done: int
    items_total: int
    bytes_done: int
    bytes_total: int


@dataclass(frozen=True, slots=True)
class SkippedView:
    path: str
    reason: str  # one sentence


@dataclass(frozen=True, slots=True)
class ImportView:
    items: int  # made
    bytes: int  # of their contents
    shared: int  # of the items: content that was in the store already
    skipped: tuple[SkippedView, ...]  # at most 1,000
    skipped_total: int


@dataclass(frozen=True, slots=True)
class LoadedView:
    """What came of reading an export."""

    items: int  # made
    known: int  # that were there already
    missing: int  # of those made: files whose content is not in the store
    skipped: tuple[SkippedView, ...]  # at most 1,000; the path is that of the export
    skipped_total: int


@dataclass(frozen=True, slots=True)
class RetaggedView:
    """What came of a change of the tags of many items."""

    items: int  # that it was about
    changed: int  # of these: with other tags than before


@dataclass(frozen=True, slots=True)
class LinesView:
    """Part of a long text."""

    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ContentView:
    """Where the bytes of a whole item are: a file of the store, to be read and never written."""

    id: int
    name: str
    path: str
    size: int
    mtime_ns: int
    mode: int  # permission bits


@dataclass(frozen=True, slots=True)
class BackupView:
    """What came of a backup."""

    blobs: int  # that the catalogue names
    bytes: int  # of these
    copied: int  # that were not there before
    copied_bytes: int
    missing: tuple[str, ...]  # SHA-256 of those that the store has not as it should; at most 1,000
    missing_total: int
    removed: int  # with `prune`


@dataclass(frozen=True, slots=True)
class FaultView:
    """Something that `verify` found. `sentence` says what is wrong and what it costs."""

    kind: str  # see engine.soundness.faults.FaultKind
    item: int | None  # the first of those that it concerns
    name: str | None
    sha256: str | None
    path: str | None  # below the state directory, of a file that is no content
    sentence: str
    cause: str  # what makes such a fault
    mended: str | None  # what was done about it


@dataclass(frozen=True, slots=True)
class VerifyView:
    items: int  # checked
    blobs: int
    bytes: int  # read; 0 without `data`
    faults: tuple[FaultView, ...]  # at most 1,000
    faults_total: int
    mended_total: int = 0  # of these
