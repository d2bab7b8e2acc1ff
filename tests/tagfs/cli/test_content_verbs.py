"""What the verbs that bring contents in and out ask of the daemon and print, against a daemon that is a dictionary."""

import io
import os
import socket
import sys
from pathlib import Path

import pytest

from tagfs.cli import exits
from tagfs.control.views import FaultView
from tests.support.memory_verbs import MemoryVerbs
from tests.tagfs.cli.conftest import Tagfs


class TestImport:
    def test_paths_are_made_absolute(
        self, tagfs: Tagfs, verbs: MemoryVerbs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        (tmp_path / "a").touch()
        (tmp_path / "b").touch()
        assert tagfs("import", "a", "./b", "-t", "x").lines == ["2 items, 20 B"]
        assert [item.name for item in verbs.items.values()] == ["a", "b"]

    def test_what_is_left_out_is_said_and_fails(self, tagfs: Tagfs, verbs: MemoryVerbs, tmp_path: Path) -> None:
        with socket.socket(socket.AF_UNIX) as special:
            special.bind(str(tmp_path / "x.sock"))
        ran = tagfs("import", str(tmp_path / "x.sock"))
        assert ran.code == exits.FAILED
        assert ran.err == f"tagfs: {tmp_path}/x.sock was left out: It is special.\n"

    def test_a_missing_path_is_one_sentence(self, tagfs: Tagfs, verbs: MemoryVerbs) -> None:
        ran = tagfs("import", "/nowhere")
        assert (ran.code, ran.err) == (exits.NOT_FOUND, "tagfs: /nowhere: No such file or directory.\n")


class TestImportCatalogue:
    def test_a_file_is_handed_over_by_its_path(self, tagfs: Tagfs, verbs: MemoryVerbs, tmp_path: Path) -> None:
        (tmp_path / "c").write_text("1\n2\n3\n")
        ran = tagfs("import", "--catalogue", str(tmp_path / "c"))
        assert ran.lines == ["3 items made, 1 of them without their content, 2 known already"]
        assert tagfs("import", "--catalogue", str(tmp_path / "c"), "a").code == exits.USAGE
        assert tagfs("import").code == exits.USAGE
        (tmp_path / "c").write_text("left out\n")
        assert tagfs("import", "--catalogue", str(tmp_path / "c"), "--json").code == exits.FAILED

    def test_standard_input(self, tagfs: Tagfs, verbs: MemoryVerbs, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"1\n2\n")))
        assert tagfs("import", "--catalogue", "-").lines == [
            "2 items made, 1 of them without their content, 2 known already"
        ]


class TestExport:
    def test_to_standard_output_or_to_a_new_file(self, tagfs: Tagfs, verbs: MemoryVerbs, tmp_path: Path) -> None:
        text = '{"tagfs":"catalogue"}\n{"secrets":"False"}\n{"tag":"a"}\n'
        assert tagfs("export").out == text
        file = tmp_path / "out"
        assert tagfs("export", str(file)).code == exits.OK
        assert file.read_text() == text
        assert file.stat().st_mode & 0o777 == 0o600
        assert tagfs("export", str(file), "--secrets").code == exits.USAGE
        assert tagfs("export", str(file), "--secrets", "--force").code == exits.OK
        assert "True" in file.read_text()
        assert tagfs("export", str(tmp_path / "none/of")).code == exits.NOT_FOUND
        assert [entry.name for entry in tmp_path.iterdir() if entry.name.endswith(".part")] == []


class TestGet:
    @pytest.fixture
    def stored(self, verbs: MemoryVerbs, state: Path) -> bytes:
        content = os.urandom(300_000)
        verbs.put("a.bin")
        (state / "4096").write_bytes(content)
        return content

    def test_a_copy_has_name_bytes_and_time(self, tagfs: Tagfs, stored: bytes, tmp_path: Path) -> None:
        out = tmp_path / "out"
        out.mkdir()
        assert tagfs("get", "a.bin", str(out)).code == exits.OK
        copy = out / "a.bin"
        assert copy.read_bytes() == stored
        assert copy.stat().st_mtime_ns == 1_700_000_000_123_456_789
        assert os.listdir(out) == ["a.bin"]

    def test_nothing_is_replaced_unasked(self, tagfs: Tagfs, stored: bytes, tmp_path: Path) -> None:
        target = tmp_path / "precious"
        target.write_text("mine")
        ran = tagfs("get", "a.bin", str(target))
        assert (ran.code, ran.err) == (exits.FAILED, f"tagfs: {target} exists already; --force replaces it.\n")
        assert target.read_text() == "mine"
        assert tagfs("get", "a.bin", str(target), "--force").code == exits.OK
        assert target.read_bytes() == stored

    def test_a_pipe_or_a_device_is_not_replaced(self, tagfs: Tagfs, stored: bytes, tmp_path: Path) -> None:
        pipe = tmp_path / "pipe"
        os.mkfifo(pipe)
        for words in (("get", "a.bin", str(pipe), "--force"), ("export", str(pipe), "--force")):
            ran = tagfs(*words)
            assert ran.code == exits.FAILED
            assert ran.err.startswith(f"tagfs: {pipe}: Only files are replaced; ")
            assert pipe.is_fifo()

    def test_a_folder_is_copied_with_all_in_it(
        self, tagfs: Tagfs, verbs: MemoryVerbs, state: Path, tmp_path: Path
    ) -> None:
        album = verbs.put("album", kind="folder")
        disc = verbs.put("disc", kind="folder", folder=album.id)
        files = [
            verbs.put("a.flac", folder=album.id),
            verbs.put("a.flac", folder=album.id),
            verbs.put("b.flac", folder=disc.id),
            verbs.put("c.flac", folder=disc.id, state="skipped"),
        ]
        for item in files:
            (state / str(item.id)).write_text(f"content {item.id}")
        out = tmp_path / "out"
        out.mkdir()
        assert tagfs("ls", f"id:{album.id}").lines == ["a.flac", "a.flac", "disc"]
        assert tagfs("get", "album", str(out)).code == exits.OK
        found = {str(path.relative_to(out)): path.read_text() for path in out.rglob("*") if path.is_file()}
        one, two, three, _ = (item.id for item in files)
        assert found == {
            "album/a.flac": f"content {one}",
            f"album/a~{two}.flac": f"content {two}",
            "album/disc/b.flac": f"content {three}",
        }
        ran = tagfs("get", "album", str(out))
        assert (ran.code, ran.err) == (
            exits.FAILED,
            f"tagfs: {out}/album exists already; --force writes into it.\n",
        )
        assert tagfs("get", "album", str(out / "album"), "--force").code == exits.OK
        assert tagfs("get", "album", "-").code == exits.USAGE

    def test_a_symlink_is_copied_as_a_symlink(self, tagfs: Tagfs, verbs: MemoryVerbs, tmp_path: Path) -> None:
        album = verbs.put("album", kind="folder")
        verbs.put("link", kind="symlink", target="../elsewhere\udcff", folder=album.id)
        verbs.put("alone", kind="symlink", target="/etc/passwd")
        out = tmp_path / "out"
        out.mkdir()
        assert tagfs("get", "album", str(out)).err == tagfs("get", "alone", str(out)).err == ""
        assert os.readlink(out / "album/link") == "../elsewhere\udcff"
        assert os.readlink(out / "alone") == "/etc/passwd"
        assert sorted(os.listdir(out)) == ["album", "alone"]
        assert tagfs("get", "alone", str(out)).err == f"tagfs: {out}/alone exists already; --force replaces it.\n"
        assert tagfs("get", "alone", str(out), "--force").code == exits.OK
        assert tagfs("get", "alone", "-").code == exits.USAGE

    @pytest.mark.parametrize("option", [(), ("--no-wait",)])
    def test_nothing_is_left_of_a_folder_that_failed(
        self, tagfs: Tagfs, verbs: MemoryVerbs, state: Path, tmp_path: Path, option: tuple[str, ...]
    ) -> None:
        album = verbs.put("album", kind="folder")
        first = verbs.put("a", folder=album.id)
        inner = verbs.put("inner", kind="folder", folder=album.id)
        second = verbs.put("b", folder=inner.id, state="downloading")  # its bytes are nowhere: no copy, even by waiting
        (state / str(first.id)).write_text("a")
        out = tmp_path / "out"
        out.mkdir()
        assert tagfs("get", "album", str(out), *option).code != exits.OK
        assert os.listdir(out) == []
        (state / str(second.id)).write_text("b")
        assert tagfs("get", "album", str(out)).err == ""
        assert (out / "album/inner/b").read_text() == "b"
        assert (out / "album").stat().st_mode == (out / "album/inner").stat().st_mode

    def test_no_symlink_in_the_destination_is_followed(
        self, tagfs: Tagfs, verbs: MemoryVerbs, state: Path, tmp_path: Path
    ) -> None:
        album = verbs.put("album", kind="folder")
        inner = verbs.put("inner", kind="folder", folder=album.id)
        (state / str(verbs.put("a", folder=album.id).id)).write_text("a")
        (state / str(verbs.put("b", folder=inner.id).id)).write_text("b")
        elsewhere, out = tmp_path / "elsewhere", tmp_path / "out/album"
        elsewhere.mkdir()
        out.mkdir(parents=True)
        (elsewhere / "precious").write_text("mine")
        (out / "a").symlink_to(elsewhere / "precious")
        (out / "inner").symlink_to(elsewhere)
        ran = tagfs("get", "album", str(out.parent), "--force")
        assert ran.err == f"tagfs: {out}/inner: A folder cannot take the place of what is no directory.\n"
        (out / "inner").unlink()
        (out / "other").write_text("stays")
        assert tagfs("get", "album", str(out.parent), "--force").code == exits.OK
        assert {path.name: path.read_text() for path in out.rglob("?*") if path.is_file()} == {
            "a": "a", "b": "b", "other": "stays",
        }  # fmt: skip
        assert not (out / "a").is_symlink()
        assert (elsewhere / "precious").read_text() == "mine" and os.listdir(elsewhere) == ["precious"]

    def test_to_standard_output(self, stored: bytes, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
        from tagfs.cli import main

        assert main.run(["get", "a.bin", "-"]) == exits.OK
        sys.stdout.flush()
        assert capfdbinary.readouterr().out == stored

    def test_without_waiting(self, tagfs: Tagfs, verbs: MemoryVerbs) -> None:
        verbs.put("b.bin", state="downloading")
        ran = tagfs("get", "b.bin", "--no-wait")
        assert (ran.code, ran.err) == (exits.FAILED, "tagfs: id:4096 is still arriving.\n")

    def test_a_destination_that_cannot_be_written(self, tagfs: Tagfs, stored: bytes) -> None:
        for target in ("/nowhere/x", "/nowhere/"):
            ran = tagfs("get", "a.bin", target)
            assert (ran.code, ran.err) == (exits.NOT_FOUND, "tagfs: /nowhere: There is no such directory.\n")


class TestVerify:
    def test_sound(self, tagfs: Tagfs, verbs: MemoryVerbs) -> None:
        verbs.put("a")
        ran = tagfs("verify")
        assert (ran.code, ran.out) == (exits.OK, "1 item, 1 blob: no faults\n")
        assert tagfs("verify", "--data").out == "1 item, 1 blob, 1000 B read: no faults\n"

    def test_faults_have_an_exit_code_of_their_own(self, tagfs: Tagfs, verbs: MemoryVerbs) -> None:
        verbs.faults = (FaultView("missing", 4096, "a", "ab", None, "Its blob is gone", "somebody deleted it", None),)
        ran = tagfs("verify")
        assert ran.code == exits.FAULTS
        assert ran.lines[0] == "missing: id:4096 a: Its blob is gone (comes about when somebody deleted it)"
        ran = tagfs("verify", "--data", "--subset", "1/2", "--repair")
        assert ran.code == exits.MENDED
        assert ran.lines == [
            "missing: id:4096 a: Its blob is gone; mended: mended", "0 items, 0 blobs, 1000 B read: 1 fault, 1 mended"
        ]  # fmt: skip
        assert tagfs("verify", "--subset", "1/2").code == exits.USAGE
        assert tagfs("verify", "--json").json["faults"][0]["kind"] == "missing"
