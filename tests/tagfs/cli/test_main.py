"""Finding the verb, and turning everything that goes wrong into one line and an exit code."""

import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tagfs.cli import exits, main, table
from tests.support.memory_verbs import MemoryVerbs
from tests.tagfs.cli.conftest import Tagfs

ROOT = Path(__file__).parents[3]


def test_the_first_page_lists_every_verb(tagfs: Tagfs) -> None:
    page = tagfs("--help")
    assert page.code == exits.OK and page.err == ""
    for name, entry in table.ENTRIES.items():
        assert f"  {name} {entry.usage}".rstrip() in page.out
        assert entry.summary in page.out
    assert max(map(len, page.lines)) <= 120
    assert tagfs("help").out == page.out
    assert tagfs().code == exits.USAGE


@pytest.mark.parametrize("name", table.ENTRIES)
def test_each_verb_explains_itself_with_examples(tagfs: Tagfs, name: str) -> None:
    page = tagfs(name, "--help")
    assert page.code == exits.OK
    assert "examples:" in page.out and f"tagfs {name}" in page.out.split("examples:")[1]
    assert tagfs("help", name).out == page.out


@pytest.mark.parametrize("name", table.ENTRIES)
def test_every_option_has_a_help_text_and_every_verb_takes_state(name: str) -> None:
    actions = main.parser(name)._actions
    assert all(action.help for action in actions)
    assert any("--state" in action.option_strings for action in actions)


def test_an_unknown_verb_is_usage(tagfs: Tagfs) -> None:
    assert tagfs("stauts").err == "tagfs: stauts is no verb of tagfs; did you mean status?\n"
    assert tagfs("\x1b[31m").err == "tagfs: \\x1b[31m is no verb of tagfs; tagfs --help lists them.\n"
    assert tagfs("x").code == exits.USAGE


def test_arguments_are_quoted_without_harm(tagfs: Tagfs) -> None:
    ran = tagfs("ls", "--\x1b]0;evil\x07")
    assert ran.code == exits.USAGE and "\x1b" not in ran.err and "--\\x1b]0;evil\\x07" in ran.err


@pytest.mark.parametrize(
    "words",
    [("add", "http://h/a", "--name", "a", "--name", "b"), ("add", "-i", "a", "--input=b"),
     ("status", "--limit", "1", "--limit", "2"), ("ls", "--state", "/a", "--state", "/b")],
)  # fmt: skip
def test_an_option_that_takes_one_value_is_given_once(tagfs: Tagfs, words: tuple[str, ...]) -> None:
    ran = tagfs(*words)
    assert (ran.code, ran.out) == (exits.USAGE, "")
    assert "it is given twice, and takes one value" in ran.err


@pytest.mark.parametrize(
    "words",
    [("add", ""), ("add", "http://h/a", ""), ("add", "-i", ""), ("mount", ""), ("restore", ""), ("get", "a", ""),
     ("import", ""), ("import", "--catalogue="), ("tag", "", "-t", "x"), ("rm", "a", ""), ("ls", "--state", "")],
)  # fmt: skip
def test_an_empty_word_is_no_file_and_no_item(tagfs: Tagfs, words: tuple[str, ...]) -> None:
    ran = tagfs(*words)
    assert (ran.code, ran.out) == (exits.USAGE, "")
    assert "an empty word names nothing" in ran.err


def test_the_version(tagfs: Tagfs) -> None:
    assert tagfs("--version").out == "tagfs 0.1.0\n"


def test_without_a_daemon(tagfs: Tagfs, state: Path) -> None:
    ran = tagfs("ls")
    assert ran.code == exits.NO_DAEMON
    assert ran.err == f"tagfs: No daemon runs on {state}. Start one: tagfs mount DIR\n"


def test_the_state_directory_goes_before_or_after_the_verb(tagfs: Tagfs, tmp_path: Path) -> None:
    for arguments in (
        ["--state", str(tmp_path), "ls"],
        [f"--state={tmp_path}", "ls"],
        ["ls", "--state", str(tmp_path)],
    ):
        assert f"runs on {tmp_path}. " in tagfs(*arguments).err


def test_what_the_daemon_refuses_has_its_exit_code(tagfs: Tagfs, verbs: MemoryVerbs) -> None:
    verbs.put("twin")
    verbs.put("twin")
    missing, twin, bad = tagfs("rm", "id:1"), tagfs("rm", "twin"), tagfs("add", "gopher://x")
    assert (missing.code, missing.err) == (exits.NOT_FOUND, "tagfs: There is no item id:1.\n")
    assert (twin.code, twin.err) == (exits.NOT_FOUND, "tagfs: 2 items are called twin: id:4096, id:4097.\n")
    assert (bad.code, bad.err) == (exits.USAGE, "tagfs: gopher://x is no http or https URL.\n")


def test_a_broken_config_file_is_one_sentence(tagfs: Tagfs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TAGFS_STATE")
    file = tmp_path / ".config/tagfs/config.toml"
    file.parent.mkdir(parents=True)
    file.write_text("[paths]\nstat = '/x'\n")
    ran = tagfs("ls")
    assert ran.code == exits.USAGE
    assert ran.err == f"tagfs: {file}: [paths] stat is not a setting; did you mean state?\n"


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-c", "import sys; from tagfs.cli.main import main; sys.exit(main())", *arguments]


def environment(state: Path) -> dict[str, str]:
    return {**os.environ, "TAGFS_STATE": str(state), "PYTHONPATH": str(ROOT)}


def test_a_reader_that_goes_away_is_no_error(state: Path, verbs: MemoryVerbs) -> None:
    for number in range(3000):
        verbs.put(f"{number:0200}")
    process = subprocess.Popen(
        command("ls"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(state), text=True
    )
    assert process.stdout is not None and process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == ""
    assert process.wait() == exits.BROKEN_PIPE
    process.stderr.close()


@pytest.mark.parametrize("words", ["--version", "--help", "ls", "completion bash", "complete ''"])
@pytest.mark.parametrize("where, why", [("> /dev/full", "No space left on device"), (">&-", "Bad file descriptor")])
def test_output_that_cannot_be_written_is_one_sentence(
    state: Path, verbs: MemoryVerbs, words: str, where: str, why: str
) -> None:
    verbs.put("a")
    ran = subprocess.run(
        ["sh", "-c", f"{shlex.join(command())} {words} {where}"],
        env=environment(state), stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert ran.returncode == exits.FAILED
    assert re.fullmatch(rf"tagfs: (standard output: )?{why}\.\n", ran.stderr), ran.stderr


def test_nothing_is_opened_in_place_of_a_closed_stream(state: Path, verbs: MemoryVerbs) -> None:
    code = "import os; from tagfs.cli import main; main.run = lambda words: os.open('/', os.O_RDONLY); main.main()"
    ran = subprocess.run(
        ["sh", "-c", f"{shlex.join([sys.executable, '-c', code + '; os._exit(main.run([]) < 3)'])} <&- >&- 2>&-"],
        env=environment(state),
    )  # fmt: skip
    assert ran.returncode == 0


def test_ctrl_c_ends_by_the_signal_and_without_a_traceback(state: Path, verbs: MemoryVerbs) -> None:
    verbs.frames = [MemoryVerbs.frame(number) for number in range(1000)]
    process = subprocess.Popen(
        command("status", "-f", "--json", "--interval", "0.1"),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(state), text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # the background ignores it
    )  # fmt: skip
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _out, err = process.communicate()
    assert err == ""
    assert process.returncode == -signal.SIGINT


def test_light_commands_import_nothing_heavy(state: Path, verbs: MemoryVerbs) -> None:
    """Start-up time, as something that does not depend on the machine."""
    heavy = ("rich", "trio", "httpx", "engine", "query", "pyfuse3", "peewee", "subprocess", "asyncio", "logging")
    for arguments, more in ((["--help"], ("dataclasses", "argparse", "socket")), (["ls"], ()), (["tags"], ())):
        code = (
            "import sys; from tagfs.cli.main import run; "
            f"run({arguments!r}); print([m for m in {(*heavy, *more)!r} if m in sys.modules])"
        )
        ran = subprocess.run(
            [sys.executable, "-c", code], env=environment(state), capture_output=True, text=True, check=True
        )
        assert ran.stdout.splitlines()[-1] == "[]", arguments
