"""What tagfs config prints."""

import sys
from pathlib import Path

import pytest

from tagfs.cli import exits
from tests.tagfs.cli.conftest import Tagfs


class TestConfig:
    def test_values_come_with_their_origin(self, tagfs: Tagfs, state: Path, tmp_path: Path) -> None:
        file = tmp_path / ".config/tagfs/config.toml"
        file.parent.mkdir(parents=True)
        file.write_text(
            '[transfer]\nmax_active = 3\nproxy = "http://me:hunter2@p:1"\n'
            '[transfer.headers]\nDNT = "1"\n[transfer.host_headers]\nh = {Cookie = "hunter2"}\n'
        )
        file.chmod(0o600)
        ran = tagfs("config")
        assert "hunter2" not in ran.out
        rows = {line.split()[0]: line.split(None, 2)[2] for line in ran.lines}
        assert rows["transfer.max_active"].split("#")[1].strip() == str(file)
        assert rows["transfer.proxy"].split()[0] == '"http://***@p:1"'
        assert rows["transfer.headers"].split("  ")[0] == '{"DNT" = "1"}'
        assert rows["transfer.host_headers"].split("  ")[0] == '{"h" = {"Cookie" = "***"}}'
        assert rows["paths.state"].split("#") == [
            f'"{state}"'.ljust(len(rows["paths.state"].split("#")[0])),
            " TAGFS_STATE",
        ]
        by_key = {entry["key"]: entry for entry in tagfs("config", "--json").json}
        assert by_key["transfer.max_active"] == {"key": "transfer.max_active", "value": 3, "origin": str(file)}
        assert by_key["transfer.headers"]["value"] == {"DNT": "1"}
        assert by_key["transfer.host_headers"]["value"] == {"h": {"Cookie": "***"}}
        assert tagfs("config", "path").out == f"{file}\n"

    def test_rules_are_printed_by_number(self, tagfs: Tagfs, tmp_path: Path) -> None:
        file = tmp_path / ".config/tagfs/config.toml"
        file.parent.mkdir(parents=True)
        file.write_text("[[rules]]\nmatch = 'type:video'\ntags = ['movie']\n")
        by_key = {entry["key"]: entry["value"] for entry in tagfs("config", "--json").json}
        assert (by_key["rules.1.match"], by_key["rules.1.tags"]) == ("type:video", ["movie"])
        assert any(line.startswith("rules.1.tags =") and '["movie"]' in line for line in tagfs("config").lines)

    def test_lines_are_not_padded_for_programs_and_no_wider_than_a_terminal(
        self, tagfs: Tagfs, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        piped = tagfs("config").lines
        assert "transfer.split = 5  # default" in piped
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
        for width in ("80", "120", "1000"):
            monkeypatch.setenv("COLUMNS", width)
            shown = tagfs("config")
            words = [word for word in shown.out.split() if len(word) < 40]
            assert words == [word for line in piped for word in line.split() if len(word) < 40]
            assert all(len(line) <= int(width) for line in shown.lines if "/" not in line)  # a path is not broken
            assert len({line.index(" = ") for line in shown.lines if line[0] != " "}) == 1
        monkeypatch.setenv("COLUMNS", "1")
        assert len(tagfs("config").lines) > len(piped)

    def test_the_path_is_printed_even_when_the_file_is_broken(self, tagfs: Tagfs, tmp_path: Path) -> None:
        file = tmp_path / ".config/tagfs/config.toml"
        file.parent.mkdir(parents=True)
        file.write_text("[")
        assert tagfs("config", "path").out == f"{file}\n"
        assert tagfs("config").code == exits.USAGE
