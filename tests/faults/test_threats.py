"""What strangers write that could lead somewhere (S3, S9, S15, S16, S17), and what the code never does."""

from __future__ import annotations

import ast
import os
import stat
from pathlib import Path

import pytest

from engine.sources.torrent.config import TorrentConfig
from engine.sources.torrent.metadata import read_metainfo
from engine.sources.torrent.params import Start, build
from engine.sources.torrent.settings import settings_pack
from tests.mount.conftest import Mount
from tests.support.torrents import bencode

ROOT = Path(__file__).parents[2]
SOURCES = [path for package in ("query", "engine", "tagfs") for path in sorted((ROOT / package).rglob("*.py"))]

PRIVATE = (
    "http://127.0.0.1/announce", "http://127.1/", "http://2130706433/", "http://0x7f.1/", "http://[::1]:80/",
    "http://[::ffff:127.0.0.1]/", "http://10.0.0.1/", "http://192.168.1.1/cgi", "http://169.254.169.254/latest",
    "udp://172.16.0.1:6969", "http://[fe80::1%25eth0]/", "http://[fd00::1]/", "http://0.0.0.0/", "http://router/",
    "http://nas.local/", "http://printer.lan/", "http://100.64.0.1/",
    "http://localhost./", "http://127.0.0.1./", "http://router.lan./", "http://[fec0::1]/", "http://me@127.0.0.1/", "http://[/",
)  # fmt: skip
PUBLIC = ("http://tracker.example.org/announce", "udp://203.0.114.1:6969", "http://[2a00:1450::1]/")


@pytest.mark.parametrize("url", PRIVATE)
def test_a_torrent_cannot_send_us_to_our_neighbours(url: str) -> None:
    params = _started(url)
    assert list(params.trackers) == []
    assert list(params.url_seeds) == []


@pytest.mark.parametrize("url", PUBLIC)
def test_others_may_be_asked(url: str) -> None:
    params = _started(url)
    assert list(params.trackers) == [url]
    assert list(params.url_seeds) == [url]


def _started(url: str) -> object:
    info = {b"name": b"n", b"piece length": 16384, b"pieces": b"x" * 20, b"length": 5}
    data = bencode({b"announce": url.encode(), b"url-list": [url.encode()], b"info": info})
    found = read_metainfo(data, TorrentConfig())
    start = Start(
        "/nonexistent", found.v1, None, data=data, positions=1, pieces=1,
        trackers=found.trackers, web_seeds=found.web_seeds,
    )  # fmt: skip
    return build(start, TorrentConfig())


def test_a_torrents_session_opens_nothing_that_was_not_asked_for() -> None:
    """No ports in the router, no broadcasts into the network, nobody asked for our address; DHT and peers can be
    switched off, and the addresses to listen on chosen."""
    settings = settings_pack(TorrentConfig())
    for off in ("enable_lsd", "enable_upnp", "enable_natpmp"):
        assert settings[off] is False
    assert settings["webtorrent_stun_server"] == ""
    assert settings["ssrf_mitigation"] is True
    assert settings["validate_https_trackers"] is True
    shut = settings_pack(TorrentConfig(listen="", dht=False))
    assert shut["listen_interfaces"] == ""
    assert shut["enable_dht"] is False


def test_nothing_that_arrives_can_be_run(mount: Mount) -> None:
    """Not even where the sender wishes so: a torrent's attribute x, a copied file's own mode is the user's."""
    info = {
        b"name": b"n", b"piece length": 16384, b"pieces": b"x" * 20,
        b"files": [{b"length": 3, b"path": [b"run.sh"], b"attr": b"x"}, {b"length": 2, b"path": [b"b"]}],
    }  # fmt: skip
    (mount.top.parent / "evil.torrent").write_bytes(bencode({b"info": info}))
    mount.tagfs("add", "--paused", str(mount.top.parent / "evil.torrent"))
    run = mount / "files/n/run.sh"
    assert not run.stat().st_mode & (stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH | stat.S_ISUID | stat.S_ISGID)
    assert not os.access(run, os.X_OK)


def test_other_programs_are_started_in_few_places_alone() -> None:
    """And none of them is given a name that a stranger chose: see each of them before adding to this list."""
    starts = {"run", "Popen", "call", "check_output", "check_call", "open_process", "run_process", "system", "execv"}
    found = {
        os.fspath(path.relative_to(ROOT))
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr in starts and _module(node) in ("subprocess", "os", "lowlevel")
    }
    known = {"tagfs/daemon/mountpoint.py", "tagfs/cli/mount.py", "tagfs/doctor/system.py", "engine/suggest/guesser.py"}
    assert found == known


def _module(node: ast.Attribute) -> str:
    match node.value:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""


@pytest.mark.parametrize("word", ["verify=False", "CERT_NONE", "check_hostname = False", "_create_unverified_context"])
def test_certificates_are_always_verified(word: str) -> None:
    assert len(SOURCES) > 100
    assert not [path for path in SOURCES if word in path.read_text()]
