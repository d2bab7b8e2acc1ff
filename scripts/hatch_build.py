"""What building a wheel adds: the man pages, made of docs/*.md (scripts/man.py). hatchling loads this file."""

from __future__ import annotations

import importlib.util
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ManPages(BuildHookInterface):  # type: ignore[type-arg]  # hatchling's own parameters are of no use here
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        self._made = Path(tempfile.mkdtemp(prefix="tagfs-man-"))
        if version == "editable":
            return
        for name, text in _man().pages(Path(self.root)).items():
            page = self._made / name
            page.parent.mkdir(exist_ok=True)
            page.write_text(text, "utf-8")
            build_data["shared_data"][str(page)] = f"share/man/{name}"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        shutil.rmtree(self._made)


def _man() -> Any:
    spec = importlib.util.spec_from_file_location("man", Path(__file__).with_name("man.py"))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses look for it
    spec.loader.exec_module(module)
    return module
