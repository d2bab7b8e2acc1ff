"""The keys of [torrent] reach the engine, and say its defaults."""

from dataclasses import fields, replace

import pytest

from engine.sources.torrent.config import TorrentConfig
from tagfs.config.settings import Torrent, Transfer
from tagfs.config.torrent import torrent_config


def test_documented_defaults_are_those_of_the_engine() -> None:
    assert torrent_config(Torrent(), reserve=Transfer().reserve) == TorrentConfig()


@pytest.mark.parametrize("key", [field.name for field in fields(Torrent)])
def test_each_key_reaches_the_engine_under_its_own_name(key: str) -> None:
    marked = object()
    assert getattr(torrent_config(replace(Torrent(), **{key: marked}), reserve=0), key) is marked
