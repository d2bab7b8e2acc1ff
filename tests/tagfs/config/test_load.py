"""Where each setting comes from, and one sentence for each thing that can be wrong with it."""

import os
from pathlib import Path

import pytest

from tagfs.config.errors import ConfigError
from tagfs.config.load import DEFAULT, load


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    return {"HOME": str(tmp_path)}


def write(home: dict[str, str], text: str, mode: int = 0o600) -> Path:
    file = Path(home["HOME"]) / ".config/tagfs/config.toml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    file.chmod(mode)
    return file


def test_without_a_file_everything_is_at_its_default(home: dict[str, str]) -> None:
    loaded = load(home)
    assert loaded.config.transfer.max_active == 8
    assert loaded.config.paths.state == home["HOME"] + "/.local/share/tagfs"
    assert set(loaded.origins.values()) == {DEFAULT}


def test_a_file_sets_what_it_names_and_nothing_else(home: dict[str, str]) -> None:
    file = write(home, '[transfer]\nmax_active = 3\n[mount]\numask = "077"\nfacets = true\n[log]\nlevel = "debug"\n')
    loaded = load(home)
    assert (loaded.config.transfer.max_active, loaded.config.transfer.max_per_host) == (3, 4)
    assert (loaded.config.mount.umask, loaded.config.mount.facets) == (0o077, True)
    assert loaded.origins["transfer.max_active"] == str(file)
    assert loaded.origins["transfer.max_per_host"] == DEFAULT


def test_rules_are_kept_in_their_order_and_with_their_file(home: dict[str, str]) -> None:
    file = write(home, "[[rules]]\nmatch = 'a'\ntags = ['b', 'c']\n[[rules]]\nmatch = 'd'\naccept = ['year']\n")
    config = load(home).config
    assert [(rule.match, rule.tags, rule.accept) for rule in config.rules] == [
        ("a", ("b", "c"), ()), ("d", (), ("year",)),
    ]  # fmt: skip
    assert config.file == str(file)
    assert load({**home, "HOME": "/nowhere"}).config.rules == ()


def test_the_state_directory_comes_from_the_strongest_origin(home: dict[str, str], tmp_path: Path) -> None:
    write(home, '[paths]\nstate = "~/from-file"\n')
    by_file = load(home)
    assert by_file.config.paths.state == os.path.expanduser("~/from-file")
    by_variable = load(home | {"TAGFS_STATE": str(tmp_path / "variable")})
    assert by_variable.config.paths.state == str(tmp_path / "variable")
    assert by_variable.origins["paths.state"] == "TAGFS_STATE"
    by_option = load(home | {"TAGFS_STATE": "/elsewhere"}, state=str(tmp_path / "option"))
    assert by_option.config.paths.state == str(tmp_path / "option")
    assert by_option.origins["paths.state"] == "--state"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[transfer]\nmax_actve = 3\n", "[transfer] max_actve is not a setting; did you mean max_active?"),
        ("[trnsfer]\n", "[trnsfer] is not a section; did you mean transfer?"),
        ("[xyzzy]\n", "[xyzzy] is not a section."),
        ("rules = 3\n", "each rule must be a section of its own, [[rules]]."),
        ("[rules]\nmatch = 'a'\n", "each rule must be a section of its own, [[rules]]."),
        ("[[rules]]\ntags = ['b']\n", "rule 1: match is missing: which items is it about?"),
        ("[[rules]]\nmatch = 'a'\n[[rules]]\ntag = ['b']\n", "rule 2: tag is not a setting; did you mean tags?"),
        ("[[rules]]\nmatch = 'a'\ntags = 'b'\n", "rule 1: tags must be a list of texts, such as"),
        ("transfer = 3\n", "transfer must be a section, [transfer]."),
        ("[transfer]\nmax_active = 0\n", "[transfer] max_active must be a whole number not below 1."),
        ("[transfer]\nmax_active = true\n", "[transfer] max_active must be a whole number not below 1."),
        ("[transfer]\nread_patience = nan\n", "[transfer] read_patience must be a number not below 0.1."),
        ('[transfer]\nmax_waiters = "many"\n', "[transfer] max_waiters must be a whole number from 1 to 900."),
        ("[mount]\nfacets = 1\n", "[mount] facets must be true or false."),
        ('[mount]\numask = "999"\n', '[mount] umask must be octal permission bits such as "022".'),
        ('[log]\nlevel = "loud"\n', "[log] level must be one of debug, info, warning, error."),
        ('[paths]\nstate = "somewhere"\n', "[paths] state must be an absolute path, or one that starts with ~/."),
        ('[transfer]\nuser_agent = "a\\nb"\n', "[transfer] user_agent must be text without control characters."),
        ("[transfer.headers]\nX = 1\n", "[transfer] headers must be a table of texts."),
        ('[transfer.headers]\nX = "a\\r\\nY: b"\n', "headers must be a table of texts without control characters."),
        ("[transfer\n", "is not valid TOML"),
        ("a = " + "[" * 20_000, "is not valid TOML"),
    ],
)
def test_a_bad_file_is_one_sentence_that_names_file_and_key(home: dict[str, str], text: str, sentence: str) -> None:
    file = write(home, text)
    with pytest.raises(ConfigError) as caught:
        load(home)
    assert str(caught.value).startswith(str(file))
    assert sentence in str(caught.value)
    assert not str(caught.value).endswith("?.")
    assert "\n" not in str(caught.value)


def test_a_file_that_was_asked_for_must_be_there(home: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.toml does not exist"):
        load(home, file="/nowhere.toml")
    with pytest.raises(ConfigError, match=r"nowhere\.toml does not exist"):
        load(home | {"TAGFS_CONFIG": "/nowhere.toml"})


def test_a_file_that_is_not_text_is_one_sentence(home: dict[str, str]) -> None:
    file = write(home, "")
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="is not valid TOML"):
        load(home)
    file.unlink()
    file.mkdir()
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        load(home)


def test_an_empty_text_unsets_what_may_be_unset(home: dict[str, str]) -> None:
    write(home, '[transfer]\nproxy = ""\ncookies = ""\nuser_agent = ""\n')
    transfer = load(home).config.transfer
    assert (transfer.proxy, transfer.cookies, transfer.user_agent) == (None, None, "")
