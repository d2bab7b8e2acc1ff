"""Which call a waiting thread is in: a real thread in a real call, and what is said where nobody may know."""

from __future__ import annotations

import ctypes
import os
import subprocess
import threading

import pytest
import trio

from tagfs.mount import callers
from tagfs.mount.callers import is_making, is_walking


async def test_a_thread_that_waits_otherwise_makes_nothing() -> None:
    read, write = os.pipe()
    thread = threading.Thread(target=os.read, args=(read, 1))
    thread.start()
    try:
        assert thread.native_id is not None
        assert not await is_making(thread.native_id, "f")
    finally:
        os.close(write)
        await trio.to_thread.run_sync(thread.join)
        os.close(read)


async def test_nobody_knows_of_a_thread_that_is_gone() -> None:
    with subprocess.Popen(["true"]) as done:
        pass
    assert not await is_making(done.pid, "f")
    assert not await is_making(0, "f")


@pytest.mark.parametrize(
    ("syscall", "comm", "making"),
    [
        (None, "mkdir", True),
        (None, "python3", False),
        (None, None, False),
        ("running", "mkdir", True),
        ("running", "ls", False),
        ("83 0x7f 0x1ff", "x", True),
        ("88 0x7f 0x1ff", "x", True),
        ("262 0x7f 0x1ff", "mkdir", False),
        ("-1 0x7ffd 0x7f", "mkdir", False),
    ],
)
async def test_the_call_decides_and_where_it_is_not_told_the_program(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: trio.testing.MockClock, syscall: str, comm: str, making: bool
) -> None:
    monkeypatch.setattr(callers, "_read", lambda _thread, what: {"syscall": syscall, "comm": comm}[what])
    monkeypatch.setattr(callers.platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(callers, "_path", lambda _thread, _address: None)
    assert await is_making(1, "f") is making


@pytest.mark.parametrize(
    ("path", "making"), [(b"f", True), (b"/q/f", True), (b"f/", True), (b"f/g", False), (b"/f/g/", False), (b"", False)]
)
async def test_only_the_last_of_the_path_is_made(monkeypatch: pytest.MonkeyPatch, path: bytes, making: bool) -> None:
    memory = ctypes.create_string_buffer(path)
    text = f"83 {ctypes.addressof(memory):#x} 0x1ff"
    monkeypatch.setattr(callers, "_read", lambda _thread, what: {"syscall": text, "comm": "x"}[what])
    monkeypatch.setattr(callers.platform, "machine", lambda: "x86_64")
    assert await is_making(os.getpid(), "f") is making


@pytest.mark.parametrize(
    ("syscall", "walking"),
    [
        ("262 0xffffff9c 0x7f 0x7e", True),  # newfstatat
        ("2 0x7f 0x80000", True),  # open
        ("257 0xffffff9c 0x7f 0x90800", True),  # openat
        ("257 0xffffff9c 0x7f 0x80241", False),  # with O_CREAT
        ("257", False),
        ("83 0x7f 0x1ff", False),  # mkdir
        ("280 0xffffff9c 0x7f", False),  # utimensat
        ("running", False),
        ("-1 0x7ffd 0x7f", False),
        (None, False),
    ],
)
def test_who_walks_has_nothing_locked(monkeypatch: pytest.MonkeyPatch, syscall: str | None, walking: bool) -> None:
    monkeypatch.setattr(callers, "_read", lambda _thread, _what: syscall)
    monkeypatch.setattr(callers.platform, "machine", lambda: "x86_64")
    assert is_walking(1) is walking
    monkeypatch.setattr(callers.platform, "machine", lambda: "vax")
    assert not is_walking(1)
