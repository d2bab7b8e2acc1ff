"""What came of a file that names downloads, as `add_file` answers with it; see `views`. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from tagfs.control.views_items import ItemView


@dataclass(frozen=True, slots=True)
class AddedView:
    """`faults` are downloads that could not be added, `notes` what was left out of some that were; a sentence each."""

    items: tuple[ItemView, ...]
    faults: tuple[str, ...]
    notes: tuple[str, ...]
