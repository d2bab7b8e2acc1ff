"""One event, one line, whatever is in it."""

import io
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tagfs.daemon.logs import FORMAT, JOURNAL_FORMAT, LogFile, OneLine


def logged(form: OneLine, *arguments: object, trace: bool = False) -> str:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(form)
    logger = logging.Logger("x")
    logger.addHandler(handler)
    try:
        raise ValueError("\x1b[2J\u202e")
    except ValueError:
        logger.error(*arguments, exc_info=trace)
    return stream.getvalue()


def test_names_cannot_forge_lines_or_drive_the_terminal() -> None:
    line = logged(OneLine(FORMAT), "item %s", "a\n2026 ERROR forged\x1b[31m\u202e\udcff")
    assert line.count("\n") == 1
    assert line.endswith("item a\\x0a2026 ERROR forged\\x1b[31m\\u202e\\xff\n")


def test_a_traceback_keeps_its_lines_and_nothing_else() -> None:
    text = logged(OneLine(FORMAT), "failed", trace=True)
    assert "Traceback (most recent call last):\n" in text
    assert text.endswith("ValueError: \\x1b[2J\\u202e\n")


def test_the_journal_gets_priorities() -> None:
    assert logged(OneLine(JOURNAL_FORMAT, priorities=True), "gone") == "<3>x: gone\n"


def test_a_log_file_is_private_takes_what_libraries_print_and_may_be_moved(tmp_path: Path) -> None:
    path = tmp_path / "daemon.log"
    code = f"""
import logging, os
from tagfs.daemon import logs
logs.to_file({str(path)!r}, "info")
os.write(2, b"from a library\\n")
logging.getLogger("httpx").info("GET http://me:hunter2@host/")
logging.getLogger("a").info("one")
os.rename({str(path)!r}, {str(path) + ".1"!r})
logging.getLogger("a").info("two")
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert ran.stdout == ran.stderr == b""
    first, second = (tmp_path / "daemon.log.1").read_text(), path.read_text()
    assert "from a library\n" in first and "INFO a: one\n" in first and "hunter2" not in first
    assert "INFO a: two\n" in second
    assert (tmp_path / "daemon.log.1").stat().st_mode & 0o077 == 0


def test_the_log_of_the_state_directory_is_no_link_to_elsewhere(tmp_path: Path) -> None:
    """One that the user has named in the config file may be."""
    (tmp_path / "daemon.log").symlink_to(tmp_path / "outside")
    with pytest.raises(OSError, match="symbolic links"):
        LogFile(str(tmp_path / "daemon.log"), None, 1)
    assert not (tmp_path / "outside").exists()
    code = f"from tagfs.daemon import logs; logs.to_file({str(tmp_path / 'daemon.log')!r}, 'info', follow=True)"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert (tmp_path / "outside").exists()


def test_a_log_file_moves_itself_away_before_it_is_large(tmp_path: Path) -> None:
    path = tmp_path / "daemon.log"
    code = f"""
import logging, os
from tagfs.daemon import logs
logs.to_file({str(path)!r}, "info", max_size=500, keep=2)
os.write(2, b"x" * 501 + b"\\n")
for number in range(50):
    logging.getLogger("a").info("line %d", number)
    os.write(2, b"printed %d\\n" % number)
"""
    subprocess.run([sys.executable, "-c", code], check=True)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["daemon.log", "daemon.log.1", "daemon.log.2"]
    kept = [(tmp_path / name).read_text() for name in ("daemon.log.2", "daemon.log.1", "daemon.log")]
    assert all(len(text) < 600 for text in kept)
    numbers = [int(line.rpartition(" ")[2]) for line in "".join(kept).splitlines()]
    written = [number for number in range(50) for _ in ("logged", "printed")]
    assert len(numbers) > 20 and numbers == written[-len(numbers) :]
    assert all((file.stat().st_mode & 0o777) == 0o600 for file in tmp_path.iterdir())


def test_a_log_file_that_cannot_be_moved_away_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "daemon.log"
    (tmp_path / "daemon.log.1").mkdir()
    (tmp_path / "daemon.log.1" / "in the way").touch()
    code = f"""
import logging
from tagfs.daemon import logs
logs.to_file({str(path)!r}, "info", max_size=10)
for number in range(5):
    logging.getLogger("a").info("line %d", number)
"""
    subprocess.run([sys.executable, "-c", code], check=True)
    text = path.read_text()
    assert [f"line {number}\n" in text for number in range(5)] == [True] * 5
    assert text.count("--- Logging error ---") == 1


def test_standard_error_knows_the_journal(tmp_path: Path) -> None:
    code = "import logging; from tagfs.daemon import logs; logs.to_stderr('debug'); logging.getLogger('a').warning('x')"
    with open(tmp_path / "out", "wb") as stream:
        status = os.fstat(stream.fileno())
        journal = {**os.environ, "JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"}
        subprocess.run([sys.executable, "-c", code], stderr=stream, env=journal, check=True)
    assert (tmp_path / "out").read_text() == "<4>a: x\n"
