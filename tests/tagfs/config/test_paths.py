"""XDG folders, and where the control socket is."""

from pathlib import Path

import pytest

from tagfs.config import paths


def test_xdg_variables_are_followed_when_absolute() -> None:
    environ = {"HOME": "/home/me", "XDG_CONFIG_HOME": "/c", "XDG_DATA_HOME": "/d"}
    assert paths.config_file(environ) == "/c/tagfs/config.toml"
    assert paths.default_state(environ) == "/d/tagfs"
    relative = {"HOME": "/home/me", "XDG_CONFIG_HOME": "c", "XDG_DATA_HOME": ""}
    assert paths.config_file(relative) == "/home/me/.config/tagfs/config.toml"
    assert paths.default_state(relative) == "/home/me/.local/share/tagfs"


def test_tagfs_config_names_the_file() -> None:
    assert paths.config_file({"HOME": "/home/me", "TAGFS_CONFIG": "/x.toml"}) == "/x.toml"


@pytest.mark.parametrize(("mode", "used"), [(0o700, True), (0o770, False), (0o701, False)])
def test_a_runtime_folder_is_used_only_when_it_is_ours_alone(tmp_path: Path, mode: int, used: bool) -> None:
    tmp_path.chmod(mode)
    runtime = paths.default_runtime({"XDG_RUNTIME_DIR": str(tmp_path)}, "/state")
    assert runtime == (str(tmp_path / "tagfs") if used else "/state")


def test_without_a_runtime_folder_the_socket_is_in_the_state_directory() -> None:
    assert paths.default_runtime({}, "/state") == "/state"
    assert paths.default_runtime({"XDG_RUNTIME_DIR": "/nowhere"}, "/state") == "/state"
    assert paths.socket_path("/state", "/state") == "/state/control.sock"


def test_two_spellings_of_a_state_directory_have_one_socket(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "link").symlink_to("state")
    one = paths.socket_path(str(tmp_path / "state"), "/run")
    assert one == paths.socket_path(str(tmp_path / "link"), "/run")
    assert one != paths.socket_path(str(tmp_path / "other"), "/run")
