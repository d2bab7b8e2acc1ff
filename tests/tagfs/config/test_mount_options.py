"""-o on top of [mount]."""

import pytest

from tagfs.config.errors import ConfigError
from tagfs.config.mount_options import MountOptions, parse_mount_options


def test_words_change_only_what_they_name() -> None:
    base = MountOptions(facets=True, umask=0o077)
    assert parse_mount_options("ro,noexec", base) == MountOptions(facets=True, umask=0o077, read_only=True, noexec=True)
    assert parse_mount_options("", base) == base


def test_the_last_word_wins() -> None:
    assert parse_mount_options("ro,facets,rw,nofacets,umask=027,umask=022", MountOptions()) == MountOptions()


@pytest.mark.parametrize("word", ["bogus", "ro=1", "umask", "umask=", "umask=8", "umask=7777", "allow_othr"])
def test_anything_else_is_one_sentence(word: str) -> None:
    with pytest.raises(ConfigError, match=r"^-o .*\.$"):
        parse_mount_options(word, MountOptions())
