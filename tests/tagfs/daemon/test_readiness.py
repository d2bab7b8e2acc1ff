"""The one line through the pipe."""

import os

import pytest

from tagfs.daemon.errors import StartError
from tagfs.daemon.readiness import Teller, wait


def test_ready() -> None:
    ours, theirs = os.pipe()
    teller = Teller(theirs)
    teller.ready()
    wait(ours)
    assert not teller.failed(StartError("too late"))  # the pipe is closed: nobody listens any more


def test_the_sentence_and_the_exit_code_arrive() -> None:
    ours, theirs = os.pipe()
    assert Teller(theirs).failed(StartError("No \udcff.", 2))
    with pytest.raises(StartError, match="No \udcff\\.") as caught:
        wait(ours)
    assert caught.value.exit_code == 2


def test_a_daemon_that_dies_is_not_waited_for() -> None:
    ours, theirs = os.pipe()
    os.close(theirs)
    with pytest.raises(StartError, match="ended before it was ready"):
        wait(ours)


def test_a_parent_that_has_gone_is_no_reason_to_end() -> None:
    ours, theirs = os.pipe()
    os.close(ours)
    assert not Teller(theirs).failed(StartError("x"))


def test_in_the_foreground_nobody_listens() -> None:
    teller = Teller(None)
    teller.ready()
    assert not teller.failed(StartError("x"))
