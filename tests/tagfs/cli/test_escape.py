"""S8: whatever the daemon answers, nothing that a terminal acts upon is printed."""

import os
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagfs.cli import exits
from tagfs.control.views import FaultView
from tagfs.escape import escape, tame
from tests.support.memory_verbs import MemoryVerbs
from tests.tagfs.cli.conftest import Tagfs

TEXT = st.text() | st.binary(max_size=60).map(os.fsdecode)
ACTED_UPON = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")

EVIL = os.fsdecode(b"\x1b]0;owned\x07\x1b[2J \xff\xc2\x9b31m\r\n\t") + "\u202egpj.exe\u2069 \\ ü"
SAFE = r"\x1b]0;owned\x07\x1b[2J \xff\u009b31m\x0d\x0a\x09\u202egpj.exe\u2069 \\ ü"


def unescape(text: str) -> str:
    def back(match: re.Match[str]) -> str:
        if match[0] == "\\\\":
            return "\\"
        code = int(match[1].lstrip("xuU"), 16)
        return chr(code + 0xDC00 if match[0][1] == "x" and code >= 0x80 else code)

    return re.sub(r"\\(\\|x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8})", back, text)


@given(TEXT)
def test_nothing_dangerous_gets_through_and_all_can_be_read_back(text: str) -> None:
    safe = escape(text)
    assert not ACTED_UPON.search(safe) and "\n" not in safe
    assert unescape(safe) == text
    assert all(byte >= 0x20 for byte in safe.encode())


@given(TEXT)
def test_a_sentence_is_one_line_and_is_escaped_once(text: str) -> None:
    safe = tame(text)
    assert not ACTED_UPON.search(safe) and "\n" not in safe
    assert tame(escape(text)) == escape(text)


@given(TEXT)
def test_a_byte_in_a_quoted_name_is_spelled_as_in_an_escaped_one(text: str) -> None:
    told = tame(f"There is no item called {text!r}.")
    assert not re.search(r"\\udc[89a-f]", told.replace("\\\\", ""))
    assert told.replace("\\\\", "").count("\\x") >= len(re.findall("[\udc80-\udcff]", text))


def test_a_name_with_backslashes_is_not_taken_for_such_a_byte() -> None:
    names = ["\\udcff", "\\\\udcff", "\\\udcff", "\udcff"]
    assert tame(", ".join(map(repr, names))) == r"'\\udcff', '\\\\udcff', '\\\xff', '\xff'"


def test_names_that_are_not_utf8_look_alike_in_every_sentence(tagfs: Tagfs, verbs: MemoryVerbs) -> None:
    verbs.known.add("a")
    assert tagfs("relation", "add", "a", "implies", "x\udcff").err == "tagfs: There is no tag called 'x\\xff'.\n"
    assert tagfs("rm", "x\udcff").err == "tagfs: There is no item x\\xff.\n"


def test_harmless_text_stays_as_it_is() -> None:
    assert escape("Füße – naïve 日本語 🎞.mkv ~'\"$`") == "Füße – naïve 日本語 🎞.mkv ~'\"$`"


@pytest.mark.parametrize(
    "arguments",
    [
        ["ls"], ["ls", "-l"], ["ls", "--json"], ["tags"], ["tags", "--json"], ["status"], ["status", "--json"],
        ["status", "-f"], ["pause", "--all"], ["verify"], ["rm", "id:4096"], ["rm", EVIL], ["ls", EVIL], ["add", EVIL],
        ["add", "http://x/" + EVIL], ["get", "id:4097", "/nowhere/" + EVIL], ["import", EVIL],
        ["tag", "/" + EVIL, "-t", "x"], ["config"], ["status", EVIL], ["tags", "--create", EVIL],
    ],
)  # fmt: skip
def test_no_command_prints_a_name_raw(tagfs: Tagfs, verbs: MemoryVerbs, arguments: list[str]) -> None:
    verbs.put(EVIL, tags=(EVIL,))
    verbs.put(EVIL, state="downloading", url=EVIL, error=EVIL, tags=(EVIL,))
    verbs.faults = (
        FaultView(EVIL, 4096, EVIL, None, EVIL, EVIL, EVIL, EVIL),
        FaultView(EVIL, None, None, None, EVIL, EVIL, EVIL, None),
    )
    ran = tagfs(*arguments)
    assert all(byte >= 0x20 or byte == 0x0A for byte in (ran.out + ran.err).encode("utf-8", "backslashreplace"))
    assert not ACTED_UPON.search(ran.out + ran.err)


def test_ls_prints_the_readable_spelling_and_null_the_bytes(
    verbs: MemoryVerbs, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    verbs.put(EVIL)
    from tagfs.cli import main

    assert main.run(["ls"]) == exits.OK
    assert capfdbinary.readouterr().out.decode() == SAFE + "\n"
    assert main.run(["ls", "-0"]) == exits.OK
    assert capfdbinary.readouterr().out == os.fsencode(EVIL) + b"\0"
