"""/inbox through the kernel: what is dropped is fetched and tagged, what is bad stays and says why."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.formats.read import MAX_BYTES
from tests.mount.conftest import Mount
from tests.support.nginx import nginx
from tests.support.swarm import peer
from tests.support.torrents import make_torrent
from tests.support.tracker import tracker

pytestmark = pytest.mark.mount

URL = "http://127.0.0.1:9/f.iso"  # nobody listens there: the downloads stay


def gone(mount: Mount, path: str) -> None:
    """Until what was dropped has been taken in."""
    mount.wait_for(lambda: not (mount / path).exists())


def bad(mount: Mount, path: str) -> str:
    """Until it has been refused; why."""
    mount.wait_for(lambda: os.getxattr(mount / path, "user.tagfs.state") == b"failed")
    return os.getxattr(mount / path, "user.tagfs.error").decode()


def tags(mount: Mount, name: str) -> str:
    return os.getxattr(mount / "files" / name, "user.xdg.tags").decode()


META4 = f"""<metalink xmlns="urn:ietf:params:xml:ns:metalink">
<file name="one"><url>{URL}</url></file><file name="two"><url>{URL}</url></file></metalink>"""


def test_each_kind_of_file_is_fetched_and_gets_the_tags_of_its_path(mount: Mount) -> None:
    mount.sh("mkdir tags/a tags/year:2000 && mkdir -p inbox/a/b/c")
    assert mount.names("tags") == ["a", "b", "c", "year:"]
    (mount / "inbox/x.txt").write_text(f"# mine\n{URL}1\n{URL}2\n")
    (mount / "inbox/a/x.meta4").write_text(META4)
    (mount / "inbox/b/a/x.url").write_text(f"[InternetShortcut]\nURL={URL}3\n")
    (mount / "inbox/year:2000/c/list").write_text(f"{URL}\n  out=listed\n  pause=true\n")
    for path in ("inbox/x.txt", "inbox/a/x.meta4", "inbox/b/a/x.url", "inbox/year:2000/c/list"):
        gone(mount, path)
    assert mount.names("files") == ["f.iso1", "f.iso2", "f.iso3", "listed", "one", "two"]
    assert mount.names("tags/a") == ["f.iso3", "one", "two"]
    assert (tags(mount, "f.iso3"), tags(mount, "listed")) == ("a,b", "c,year:2000")
    assert os.getxattr(mount / "files/listed", "user.tagfs.state") == b"paused"
    assert mount.names("inbox") == []
    assert os.listdir(mount.state / "inbox") == []


def test_a_link_made_in_it_is_a_download(mount: Mount) -> None:
    mount.sh(
        f"mkdir inbox/a && ln -s {URL} inbox/a/ && ! ln -s /etc/passwd inbox/a/x && ! ln -s ../files/f.iso inbox/y"
    )
    assert tags(mount, "f.iso") == "a"
    assert mount.sh("find inbox -type f -o -type l") == ""
    assert "only a link to a URL" in mount.errors()


def test_a_bad_file_stays_and_says_why_until_it_is_overwritten_or_removed(mount: Mount) -> None:
    mount.sh("mkdir tags/a && echo '%PDF' > inbox/a/x.pdf && echo nothing > inbox/y.txt")
    assert bad(mount, "inbox/a/x.pdf").startswith("'x.pdf' is none of .torrent")
    assert bad(mount, "inbox/y.txt") == "Nothing of it was added. Line 1 does not begin with a link: 'nothing'."
    assert "/inbox/a/x.pdf: 'x.pdf' is none of" in mount.errors()
    assert mount.sh("find inbox -type f | sort").split() == ["inbox/a/x.pdf", "inbox/y.txt"]
    assert mount.sh("getfattr -d inbox/y.txt | grep state") == 'user.tagfs.state="failed"\n'
    assert mount.sh("cat inbox/y.txt") == "nothing\n"
    assert mount.sh("grep inbox .tagfs/status").split() == ["inbox", "2", "that", "cannot", "be", "read"]
    mount.sh(f"echo {URL} > inbox/y.txt")
    gone(mount, "inbox/y.txt")
    mount.sh("rm -r inbox/a")
    assert mount.names("inbox") == []
    assert mount.names("tags") == ["a"]
    assert mount.names("files") == ["f.iso"]
    assert os.listdir(mount.state / "inbox") == []


def test_one_bad_line_keeps_all_of_a_list_out_so_that_it_can_be_corrected(mount: Mount) -> None:
    (mount / "inbox/l.txt").write_text(f"{URL}1\nfile:///etc/passwd\n{URL}2\n")
    assert "Line 2" in bad(mount, "inbox/l.txt")
    assert mount.names("files") == []
    mount.sh("sed '2d' inbox/l.txt > /dev/null && grep http inbox/l.txt > inbox/.l.new && mv inbox/.l.new inbox/l.txt")
    gone(mount, "inbox/l.txt")
    assert mount.names("files") == ["f.iso1", "f.iso2"]


def test_what_is_not_ready_waits_to_be_renamed(mount: Mount) -> None:
    mount.sh(f"mkdir tags/a && echo {URL} > inbox/x.txt.part && echo {URL}2 > inbox/.hidden")
    assert mount.names("inbox") == [".hidden", "x.txt.part"]
    mount.sh("mv inbox/x.txt.part inbox/a/x.txt")
    gone(mount, "inbox/a/x.txt")
    assert tags(mount, "f.iso") == "a"
    assert mount.names("inbox") == [".hidden"]
    mount.stop()
    mount.start()
    assert mount.names("inbox") == [".hidden"]
    mount.sh("mv inbox/.hidden inbox/y.txt")
    gone(mount, "inbox/y.txt")
    assert mount.names("files") == ["f.iso", "f.iso2"]


@pytest.mark.parametrize("tool", ["cp", "cp -a", "mv", "rsync -a", "install", "dd status=none if={} of={}/l.txt #"])
def test_the_usual_tools_drop_files(mount: Mount, tool: str) -> None:
    source = mount.state.parent / "l.txt"
    source.write_text(f"{URL}\n")
    os.setxattr(source, "user.xdg.tags", b"own")
    command = tool.format(source, mount / "inbox") if "{}" in tool else f"{tool} {source} {mount / 'inbox'}/"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    gone(mount, "inbox/l.txt")
    assert mount.names("files") == ["f.iso"]


def test_what_was_dropped_survives_a_kill(mount: Mount) -> None:
    """The bad one with its reason; the one that was being written is told to be cut short; the one that was closed but
    not read, for its name, is read once it can be."""
    mount.sh(f"mkdir tags/a && echo nothing > inbox/a/bad.txt && echo {URL} > inbox/a/later.part")
    why = bad(mount, "inbox/a/bad.txt")
    with (mount / "inbox/half.txt").open("w") as file:
        file.write(f"{URL}1\n")
        file.flush()
        mount.kill()
        with pytest.raises(OSError, check=lambda error: error.errno == errno.ENOTCONN):
            file.close()
    mount.start()
    assert bad(mount, "inbox/a/bad.txt") == why
    assert "/inbox/a/bad.txt: " in mount.errors()
    assert bad(mount, "inbox/half.txt") == "tagfs stopped while this file was being written: write it again"
    mount.sh("mv inbox/a/later.part inbox/a/now.txt")
    gone(mount, "inbox/a/now.txt")
    assert mount.names("files") == ["f.iso"]
    assert len(os.listdir(mount.state / "inbox")) == 4


def test_a_bad_file_is_found_although_its_tag_is_gone(mount: Mount) -> None:
    mount.sh("mkdir tags/a && echo nothing > inbox/a/bad.txt")
    bad(mount, "inbox/a/bad.txt")
    mount.sh("mv tags/a tags/b && rmdir tags/b")
    assert mount.sh("find inbox -mindepth 1").split() == ["inbox/a", "inbox/a/bad.txt"]
    assert mount.sh("echo > inbox/a/new.txt", check=False) == ""
    assert mount.names("inbox/a") == ["bad.txt"]
    mount.sh("rm inbox/a/bad.txt")
    assert not (mount / "inbox/a").exists()


def refusal(action: Callable[[], object]) -> int | None:
    with pytest.raises(OSError) as caught:
        action()
    return caught.value.errno


def test_what_it_refuses(mount: Mount) -> None:
    mount.sh(f"mkdir tags/a && echo content > files/item.txt && echo nothing > inbox/bad.txt && ln -s {URL} tags/a/")
    bad(mount, "inbox/bad.txt")
    top = mount.top
    assert refusal(lambda: os.rename(top / "files/item.txt", top / "inbox/item.txt")) == errno.EPERM
    assert refusal(lambda: os.rename(top / "inbox/bad.txt", top / "files/bad.txt")) == errno.EPERM
    assert refusal(lambda: os.rename(top / "inbox/bad.txt", top / "inbox/a")) == errno.EISDIR
    assert refusal(lambda: os.rename(top / "inbox/a", top / "inbox/b")) in (errno.EISDIR, errno.EPERM)
    assert refusal(lambda: os.link(top / "files/item.txt", top / "inbox/item.txt")) == errno.EPERM
    assert refusal(lambda: os.truncate(top / "inbox/bad.txt", 1)) == errno.EPERM
    assert refusal(lambda: os.setxattr(top / "inbox/bad.txt", "user.xdg.tags", b"a")) == errno.EOPNOTSUPP
    assert refusal(lambda: os.getxattr(top / "inbox/bad.txt", "user.xdg.tags")) == errno.ENODATA
    assert refusal(lambda: os.mkdir(top / "inbox/a")) == errno.EEXIST
    assert refusal(lambda: os.mkdir(top / "inbox/.bad")) == errno.EINVAL
    assert refusal(lambda: os.rmdir(top / "inbox")) == errno.EPERM
    assert refusal(lambda: os.stat(top / "inbox/nothing")) == errno.ENOENT
    with (top / "inbox/huge.part").open("wb", buffering=0) as file:
        file.seek(MAX_BYTES - 1)
        assert file.write(b"x") == 1
        assert refusal(lambda: file.write(b"x")) == errno.EFBIG
    assert mount.names("files") == ["f.iso", "item.txt"]


def test_many_files_at_once(mount: Mount) -> None:
    """Each is taken in once, and none holds up the others."""
    mount.sh(f"mkdir tags/a && for i in $(seq 100); do echo {URL}$i > inbox/a/$i.txt; done; echo x > inbox/bad.txt")
    mount.wait_for(lambda: mount.names("inbox/a") == [])
    bad(mount, "inbox/bad.txt")
    assert mount.names("tags/a") == sorted(f"f.iso{number}" for number in range(1, 101))


def test_a_metalink_brings_the_right_bytes_from_a_good_mirror(new_mount: Callable[..., Mount], tmp_path: Path) -> None:
    """One mirror is gone, one has a damaged piece; the digests say so, and the file is whole all the same."""
    content, piece = os.urandom(5 << 20), 1 << 20
    served = tmp_path / "served"
    served.mkdir()
    (served / "damaged.iso").write_bytes(content[: 3 * piece] + bytes(piece) + content[4 * piece :])
    (served / "good.iso").write_bytes(content)
    hashes = "".join(
        f"<hash>{hashlib.sha1(content[at : at + piece]).hexdigest()}</hash>" for at in range(0, len(content), piece)
    )
    mount = new_mount()
    mount.config.write_text("[transfer]\nprivate_redirects = true\nbackoff_first = 0.1\n")
    mount.start()
    with nginx(tmp_path / "nginx", served) as server:
        urls = "".join(f"<url>{server.url(name)}</url>" for name in ("gone.iso", "damaged.iso", "good.iso"))
        mount.sh("mkdir tags/linux")
        (mount / "inbox/linux/x.meta4").write_text(
            '<metalink xmlns="urn:ietf:params:xml:ns:metalink"><file name="../d/debian.iso">'
            f"<size>{len(content)}</size><hash type='sha-256'>{hashlib.sha256(content).hexdigest()}</hash>"
            f"<pieces type='sha-1' length='{piece}'>{hashes}</pieces>{urls}</file></metalink>"
        )
        gone(mount, "inbox/linux/x.meta4")
        seeding(mount, "tags/linux/debian.iso")
    assert (mount / "tags/linux/debian.iso").read_bytes() == content


@pytest.fixture
def swarmed(new_mount: Callable[..., Mount]) -> Mount:
    """A mount whose torrents keep to this machine."""
    mount = new_mount("swarmed")
    mount.config.write_text(
        '[torrent]\nlisten = "127.0.0.1:0"\noutgoing = "127.0.0.1"\ndht = false\npex = false\n'
        "private_addresses = true\n"
    )
    mount.start()
    return mount


def state(mount: Mount, path: str) -> bytes:
    return os.getxattr(mount / path, "user.tagfs.state")


def seeding(mount: Mount, path: str) -> None:
    """Until a file that a torrent brings is whole."""
    mount.wait_for(lambda: os.path.exists(mount / path) and state(mount, path) in (b"seeding", b"complete"))


def film(folder: Path) -> Path:
    """A folder of two files, somewhere to be seeded from."""
    (folder / "film/extra").mkdir(parents=True)
    (folder / "film/film.mkv").write_bytes(os.urandom(100_000))
    (folder / "film/extra/cover.jpg").write_bytes(os.urandom(10_000))
    return folder / "film"


def test_a_torrent_is_fetched_and_its_item_tagged(swarmed: Mount, tmp_path: Path) -> None:
    content = film(tmp_path / "seed")
    with tracker() as announces, peer() as seeds:
        whole = make_torrent(content, trackers=[announces.url], piece_size=16384)
        single = make_torrent(content / "film.mkv", trackers=[announces.url], piece_size=16384)
        seeds.seed(whole, content.parent)
        seeds.seed(single, content)
        announces.introduce(seeds.address)
        swarmed.sh("mkdir tags/linux")
        swarmed.put("files/one.torrent", single.data)  # as if downloaded
        swarmed.sh("cp files/one.torrent inbox/linux/")
        gone(swarmed, "inbox/linux/one.torrent")
        seeding(swarmed, "files/film.mkv")
        assert (swarmed / "tags/linux/film.mkv").read_bytes() == (content / "film.mkv").read_bytes()
        (tmp_path / "all.torrent").write_bytes(whole.data)
        swarmed.tagfs("add", str(tmp_path / "all.torrent"), "-t", "b", "--select", "*.jpg")
        seeding(swarmed, "files/film/extra/cover.jpg")
        assert (swarmed / "tags/b/film/extra/cover.jpg").read_bytes() == (content / "extra/cover.jpg").read_bytes()
        assert os.getxattr(swarmed / "files/film/film.mkv", "user.tagfs.state") == b"skipped"
        assert seeds.uploaded(whole) < 60_000


def test_magnets_by_a_file_and_by_a_link(swarmed: Mount, tmp_path: Path) -> None:
    content = film(tmp_path / "seed")
    with peer() as seeds:
        one = make_torrent(content / "film.mkv", piece_size=16384)
        two = make_torrent(content / "extra/cover.jpg", piece_size=16384)
        seeds.seed(one, content)
        seeds.seed(two, content / "extra")
        (swarmed / "inbox/x.magnet").write_text(one.magnet(peers=[seeds.address]))
        swarmed.sh("mkdir inbox/a")
        os.symlink(two.magnet(peers=[seeds.address]), swarmed / "inbox/a/link")
        gone(swarmed, "inbox/x.magnet")
        seeding(swarmed, "files/film.mkv")
        swarmed.wait_for(lambda: len(swarmed.names("tags/a/state:seeding")) == 1)
    assert swarmed.names("inbox") == []


def test_a_torrent_that_is_none_stays(swarmed: Mount) -> None:
    (swarmed / "inbox/x.torrent").write_bytes(b"d4:infod4:name1:aee")
    assert bad(swarmed, "inbox/x.torrent").endswith(".")
    (swarmed / "inbox/y.magnet").write_text("magnet:?xt=urn:btih:0")
    assert "infohash" in bad(swarmed, "inbox/y.magnet")
    assert swarmed.names("files") == []


def test_a_watched_folder_of_the_config(new_mount: Callable[..., Mount]) -> None:
    mount = new_mount()
    watched = mount.state.parent / "watched"
    watched.mkdir()
    (watched / "before.url").write_text(f"[InternetShortcut]\nURL={URL}1\n")
    mount.config.write_text(f'[watch.folders]\n"{watched}" = "a,b"\n')
    mount.start()
    (watched / "after.url").write_text(f"[InternetShortcut]\nURL={URL}2\n")
    mount.wait_for(lambda: sorted(os.listdir(watched)) == ["after.url.added", "before.url.added"])
    assert mount.names("tags/a/b") == ["f.iso1", "f.iso2"]
    assert mount.stop() == 0


def test_a_follower_hears_of_it(mount: Mount) -> None:
    with mount.running("watch", "--no-progress") as watch:
        assert watch.stdout is not None
        assert json.loads(watch.stdout.readline())["event"] == "watching"
        mount.sh(f"mkdir inbox/a && echo {URL} > inbox/a/x.txt")
        heard = [json.loads(watch.stdout.readline()) for _ in range(2)]
        assert [(event["event"], event["name"]) for event in heard] == [("tag", "a"), ("added", "f.iso")]
        assert heard[1]["tags"] == ["a"]
        mount.stop()
        assert watch.wait(60) == 3


def test_a_long_list_is_added_once_although_the_daemon_is_killed_in_the_middle(mount: Mount) -> None:
    lines = "".join(f"{URL}{number}\n  pause=true\n" for number in range(5000))
    (mount / "inbox/list.txt").write_text(lines)
    mount.wait_for(lambda: len(mount.names("files")) > 100)
    mount.kill()
    assert len(os.listdir(mount.state / "inbox")) == 2  # it was not done
    mount.start()
    gone(mount, "inbox/list.txt")
    assert mount.names("files") == sorted(f"f.iso{number}" for number in range(5000))
