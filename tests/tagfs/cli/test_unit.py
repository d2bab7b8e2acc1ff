"""The systemd unit: what it says, and that systemd takes it."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tagfs.cli.share import share
from tagfs.cli.unit import UNIT, unit
from tests.tagfs.cli.conftest import Tagfs


def assignments(text: str) -> dict[str, str]:
    lines = [line for line in text.splitlines() if "=" in line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def test_the_unit_starts_the_given_program(tagfs: Tagfs) -> None:
    printed = assignments(tagfs("unit", "--program", "/opt/100% mine/tagfs", "--state", "/srv/my $tate").out)
    assert printed["ExecStart"] == ('"/opt/100%% mine/tagfs" --state "/srv/my $$tate" mount --foreground %h/%I')
    assert printed["Type"] == "notify" and printed["KillMode"] == "mixed"
    assert assignments(share(UNIT)).keys() == printed.keys()


def test_the_unit_as_shipped_starts_what_pip_puts_into_a_home_directory() -> None:
    assert assignments(share(UNIT))["ExecStart"] == "%h/.local/bin/tagfs mount --foreground %h/%I"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_takes_it(tmp_path: Path) -> None:
    def verify(text: str) -> str:
        (tmp_path / "tagfs@T.service").write_text(text)
        done = subprocess.run(
            ["systemd-analyze", "--user", "--man=no", "verify", str(tmp_path / "tagfs@T.service")],
            env={**os.environ, "XDG_RUNTIME_DIR": str(tmp_path), "HOME": str(tmp_path)},
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        return done.stderr

    program = tmp_path / "my tagfs"
    shutil.copy("/bin/true", program)
    assert verify(unit(str(program), None)) == ""
    assert "KillMod" in verify(unit(str(program), None).replace("KillMode", "KillMod"))
