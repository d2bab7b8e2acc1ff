"""Keys that are computed: each finds its items, and none can be set."""

from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path

import pytest

from tests.mount.conftest import Mount
from tests.support.nginx import nginx

CONTENT = b"plain words\n" * 100
DIGEST = hashlib.sha256(CONTENT).hexdigest()
# A term, and which of the two files it finds: `note.txt` was copied in, `fetched.txt` came from 127.0.0.1.
FINDS = {
    "state:complete": {"note.txt", "fetched.txt"},
    "state:failed": set(),
    "type:text": {"note.txt", "fetched.txt"},
    "type:text%2Fplain": {"note.txt", "fetched.txt"},
    "type:image": set(),
    "ext:txt": {"note.txt", "fetched.txt"},
    "ext:mkv": set(),
    f"size:{len(CONTENT)}": {"note.txt"},
    "size:..1K": {"fetched.txt"},
    "added:1h": {"note.txt", "fetched.txt"},
    "added:..2020": set(),
    "source:http": {"fetched.txt"},
    "host:127.0.0.1": {"fetched.txt"},
    "name:note.txt": {"note.txt"},
    "name:has:etch": {"fetched.txt"},
    f"sha256:{DIGEST}": {"note.txt"},
    "is:untagged": {"note.txt"},
}


@pytest.fixture
def two(mount: Mount, tmp_path: Path) -> Mount:
    mount.put("files/note.txt", CONTENT)
    served = tmp_path / "served"
    served.mkdir()
    (served / "fetched.txt").write_bytes(CONTENT[:600])
    (mount / "tags/a").mkdir()
    with nginx(tmp_path / "nginx", served) as server:
        mount.sh(f"ln -s {server.url('fetched.txt')} tags/a/")
        mount.settle(mount / "files/fetched.txt")
    return mount


def test_each_finds_its_items(two: Mount) -> None:
    wrong = {}
    for term, expected in FINDS.items():
        steps = term.replace(":has:", ":/has/")
        if set(two.names(f"tags/{steps}")) != expected:
            wrong[term] = two.names(f"tags/{steps}")
    assert not wrong


def test_none_can_be_set(two: Mount) -> None:
    note, other = two / "files/note.txt", two / "files/fetched.txt"
    for term in FINDS:
        if ":has:" in term or ".." in term:
            continue
        attempts = (
            lambda term=term: (two / "tags" / term).mkdir(),
            lambda term=term: os.setxattr(other, "user.xdg.tags", f"+{term}".encode()),
            lambda term=term: os.setxattr(other, f"user.tag.{term}", b""),
        )
        for number, attempt in enumerate(attempts):
            with pytest.raises(OSError) as caught:
                attempt()
            # The directory of a computed key is there already, which the kernel says itself.
            assert caught.value.errno == (errno.EINVAL if number else errno.EEXIST), (term, number)
    with pytest.raises(PermissionError):
        os.link(note, two / "tags/state:complete/other")
    assert os.getxattr(other, "user.xdg.tags") == b"a"
    assert two.names("tags/is:untagged") == ["note.txt"]
