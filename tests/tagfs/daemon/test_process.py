"""The daemon as a process, started and ended in every way that there is."""

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tagfs.daemon.mountinfo import mount_at
from tests.support.home import Home, wait_gone

ENOUGH = 60.0  # seconds; that it ends in time, it sees to itself: else it would end with its stack in the log


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    home = Home(tmp_path)
    home.top.mkdir()
    yield home
    home.clean_up()


@pytest.mark.mount
def test_mount_returns_when_the_mount_answers_and_umount_when_all_is_gone(home: Home) -> None:
    pid = home.mount()
    assert "files" in os.listdir(home.top) and "tags" in os.listdir(home.top)
    assert home.tagfs("ls").returncode == 0
    assert os.getsid(pid) == pid  # closing the terminal does not reach it
    assert Path(f"/proc/{pid}/cwd").resolve() == Path("/")
    command = [sys.executable, "-m", "tagfs", "umount", str(home.top), "--state", str(home.folder / "another")]
    other = subprocess.run(command, env=home.environment, capture_output=True, text=True, check=False)
    assert (other.returncode, other.stderr) == (
        2, f"tagfs: {home.top} is not where {home.folder}/another is mounted: name one of the two.\n"
    )  # fmt: skip
    assert home.mounted()
    assert home.tagfs("umount").returncode == 0
    assert not home.mounted()
    wait_gone(pid, 0)
    assert home.tagfs("ls").returncode == 3


@pytest.mark.mount
def test_a_state_directory_on_a_mount_is_refused_before_anything_is_made(home: Home) -> None:
    home.mount()
    other = home.folder / "other"
    other.mkdir()
    state = f"{home.top}/files/a/state"
    command = [sys.executable, "-m", "tagfs", "mount", str(other), "--state", state]
    done = subprocess.run(command, env=home.environment, capture_output=True, text=True, check=False)
    sentence = f"The state directory {state} lies on the tagfs mount {home.top}: choose one elsewhere."
    assert (done.returncode, done.stderr) == (1, f"tagfs: {sentence}\n")
    assert os.listdir(home.top / "files") == os.listdir(home.top / "trash") == []


@pytest.mark.mount
def test_it_takes_the_descriptors_that_it_may_have(home: Home) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (200, hard))
    try:
        pid = home.mount()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    mine, _ = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    assert mine == (1 << 16 if hard == resource.RLIM_INFINITY else min(hard, 1 << 16))


@pytest.mark.mount
def test_a_second_daemon_on_the_state_directory_is_refused(home: Home) -> None:
    pid = home.mount()
    other = home.folder / "other"
    other.mkdir()
    done = home.tagfs("mount", str(other))
    assert done.returncode == 1
    assert done.stderr == (
        f"tagfs: A daemon (pid {pid}, mounted at {home.top}) runs on the state directory {home.state} already.\n"
    )
    assert mount_at(str(other)) is None and home.mounted()


@pytest.mark.mount
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_it_cleanly_in_time(home: Home, number: signal.Signals) -> None:
    pid = home.mount()
    held = os.open(home.top / "files", os.O_RDONLY)  # somebody has something open
    os.kill(pid, number)
    wait_gone(pid, ENOUGH)
    os.close(held)
    assert not home.mounted()
    assert not (home.state / "daemon.json").exists() and not (home.state / "control.sock").exists()
    assert "INFO tagfs.daemon: ended" in home.log() and "Timeout" not in home.log()
    home.mount()


@pytest.mark.mount
def test_unmounting_from_outside_ends_it(home: Home) -> None:
    pid = home.mount()
    subprocess.run(["fusermount3", "-u", str(home.top)], check=True)
    wait_gone(pid, ENOUGH)
    assert "INFO tagfs.daemon: ended" in home.log()


@pytest.mark.mount
def test_after_kill_9_mount_tidies_up(home: Home) -> None:
    pid = home.mount()
    os.kill(pid, signal.SIGKILL)
    wait_gone(pid, ENOUGH)
    with pytest.raises(OSError, match="Transport endpoint is not connected"):
        os.listdir(home.top)
    assert home.tagfs("ls").returncode == 3
    assert home.mount() != pid
    assert "files" in os.listdir(home.top)


@pytest.mark.mount
def test_umount_takes_a_dead_mount_away(home: Home) -> None:
    pid = home.mount()
    os.kill(pid, signal.SIGKILL)
    wait_gone(pid, ENOUGH)
    done = home.tagfs("umount")
    assert (done.returncode, done.stderr) == (0, "")
    assert not home.mounted()


@pytest.mark.mount
def test_a_busy_mount_is_refused_and_lazily_taken_away(home: Home) -> None:
    pid = home.mount()
    with subprocess.Popen(["cat"], cwd=home.top, stdin=subprocess.PIPE):
        busy = home.tagfs("umount", str(home.top))
        assert busy.returncode == 1 and "cannot be unmounted: " in busy.stderr and "busy" in busy.stderr
        assert home.tagfs("ls").returncode == 0
        assert home.tagfs("umount", "-z").returncode == 0
    assert not home.mounted()
    wait_gone(pid, 0)


@pytest.mark.mount
def test_the_foreground_logs_to_standard_error_and_obeys_ctrl_c(home: Home) -> None:
    with subprocess.Popen(
        home.command("mount", "-f", str(home.top)), env=home.environment, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        lines = iter(process.stderr.readline, "")
        assert "starts on" in next(lines)
        while home.tagfs("ls").returncode == 3:
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        rest = "".join(lines)
        assert process.wait(ENOUGH) == 0
    assert "stopping: SIGINT" in rest and "Traceback" not in rest
    assert not home.mounted()


def test_what_cannot_start_says_why_in_one_sentence(home: Home) -> None:
    config = home.folder / ".config/tagfs/config.toml"
    config.parent.mkdir(parents=True)
    for arguments, code, sentence in (
        (["mount", str(home.folder / "nowhere")], 1, "nowhere does not exist; make it with mkdir.\n"),
        (["mount", str(home.top), "-o", "bogus"], 2, "tagfs: -o bogus is not a mount option"),
        (["mount", str(home.top), "--config", "/nowhere.toml"], 2, "The config file /nowhere.toml does not exist."),
        (["mount", "-f", str(home.folder / "nowhere")], 1, "nowhere does not exist; make it with mkdir.\n"),
        (["umount"], 3, f"tagfs: No daemon runs on {home.state}.\n"),
        (["umount", str(home.top)], 2, f"tagfs: {home.top} is no tagfs mount.\n"),
    ):
        done = home.tagfs(*arguments)
        assert (done.returncode, done.stdout) == (code, ""), done
        assert sentence in done.stderr and done.stderr.count("\n") == 1
    (home.top / "something").touch()
    assert f"{home.top} is not empty." in home.tagfs("mount", str(home.top)).stderr


def test_modules_in_the_current_directory_are_not_run(home: Home) -> None:
    """Downloads lie in current directories: a file called json.py there must stay data."""
    (home.folder / "json.py").write_text("print('owned')")
    (home.folder / "tagfs.py").write_text("print('owned')")
    done = subprocess.run(
        [sys.executable, "-P", "-m", "tagfs", "mount", "nowhere", "--state", str(home.state)],
        env=home.environment, cwd=home.folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "owned" not in done.stdout + done.stderr
    assert "nowhere does not exist" in done.stderr


STUCK = """
import sys, trio
from tagfs import app
from tagfs.daemon import __main__ as daemon, run
async def stuck(config, mountpoint, options, ready):
    ready()
    with trio.CancelScope(shield=True):
        await trio.sleep_forever()
app.run_daemon = stuck
run.STOP_DEADLINE = 0.3
sys.exit(daemon.main(sys.argv[1:]))
"""


def test_a_daemon_that_is_stuck_ends_all_the_same_and_shows_where(home: Home) -> None:
    ours, theirs = os.pipe()
    command = [sys.executable, "-c", STUCK, "--state", str(home.state), f"--ready-fd={theirs}", str(home.top)]
    with subprocess.Popen(command, env=home.environment, pass_fds=[theirs]) as process:
        os.close(theirs)
        with os.fdopen(ours, "rb") as ready:
            assert ready.readline() == b'{"ready": true}\n'
        process.send_signal(signal.SIGTERM)
        assert process.wait(ENOUGH) == 1
    assert "Timeout" in home.log() and "most recent call first" in home.log()


FAILING = """
import sys
from tagfs import app
from tagfs.daemon import __main__ as daemon
from engine.errors import EngineError
async def failing(config, mountpoint, options, ready):
    raise {error}
app.run_daemon = failing
sys.exit(daemon.main(sys.argv[1:]))
"""


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (
            "ExceptionGroup('', [EngineError('The catalogue is from a newer tagfs.')])",
            "The catalogue is from a newer tagfs.",
        ),
        ("OSError(28, 'No space left on device', '/x')", "/x: No space left on device."),
        ("KeyError('surprise')", "The daemon failed; the end of its log says why"),
    ],
)
def test_a_failure_of_the_engine_is_one_sentence(home: Home, error: str, sentence: str) -> None:
    command = [sys.executable, "-c", FAILING.format(error=error), "--state", str(home.state), str(home.top)]
    done = subprocess.run(command, env=home.environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert f"tagfs: {sentence}" in done.stderr.splitlines()[-1]
    assert ("Traceback" in done.stderr) == ("surprise" in error)
