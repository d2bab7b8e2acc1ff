"""What users can name is documented: every extended attribute of the mount."""

from __future__ import annotations

from pathlib import Path

from tagfs.vfs import xattrs

ROOT = Path(__file__).parents[2]


def test_every_extended_attribute_is_documented() -> None:
    page = (ROOT / "docs/filesystem.md").read_text()
    names = {value for name, value in vars(xattrs).items() if name.isupper() and isinstance(value, str)}
    names = {name for name in names if name.startswith("user.")} | xattrs.READ_ONLY
    assert len(names) >= 15
    missing = [name for name in names if name not in page and name.rstrip(".") not in page]
    assert not missing
