"""What a service manager hears: from a real socket of each kind, and of a real daemon from its start to its end."""

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tagfs.daemon.notify import Notifier
from tests.support.home import Home


class Manager:
    """The other end of $NOTIFY_SOCKET."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.settimeout(60)
        self._socket.bind(b"\0" + os.fsencode(address[1:]) if address.startswith("@") else address)

    def heard(self) -> list[str]:
        """The next message, line by line."""
        return self._socket.recv(65536).decode().splitlines()

    def close(self) -> None:
        self._socket.close()


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Manager]:
    made = Manager(str(tmp_path / "notify") if request.param == "path" else f"@tagfs-test-{os.getpid()}")
    yield made
    made.close()


def test_each_message_is_one_datagram(manager: Manager) -> None:
    notifier = Notifier(manager.address)
    notifier.ready("Mounted at /home/me/T\nREADY=0")
    assert manager.heard() == ["READY=1", "STATUS=Mounted at /home/me/T READY=0"]
    notifier.alive()
    notifier.status("busy \udcff")
    notifier.stopping()
    assert [manager.heard() for _ in range(3)] == [
        ["WATCHDOG=1"],
        ["STATUS=busy \\udcff"],
        ["STOPPING=1", "STATUS=Unmounting"],
    ]


def test_the_variables_are_taken_out_of_the_environment() -> None:
    environ = {"NOTIFY_SOCKET": "/run/n", "WATCHDOG_USEC": "3000000", "WATCHDOG_PID": str(os.getpid()), "HOME": "/"}
    assert Notifier.of(environ).watchdog == 3.0
    assert environ == {"HOME": "/"}


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"WATCHDOG_USEC": "3000000"},
        {"NOTIFY_SOCKET": "/run/n", "WATCHDOG_USEC": "0"},
        {"NOTIFY_SOCKET": "/run/n", "WATCHDOG_USEC": "many"},
        {"NOTIFY_SOCKET": "/run/n", "WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "1"},
        {"NOTIFY_SOCKET": "vsock:2:1234", "WATCHDOG_USEC": "3000000"},
    ],
)
def test_a_watchdog_is_fed_only_where_it_is_ours(environ: dict[str, str]) -> None:
    assert Notifier.of(environ).watchdog is None


def test_nobody_there_is_no_failure(tmp_path: Path) -> None:
    for address in (None, str(tmp_path / "nowhere"), "/" + "long" * 100):
        Notifier(address).ready("x")


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    home = Home(tmp_path / "home")
    home.folder.mkdir()
    home.top.mkdir()
    yield home
    home.clean_up()


@pytest.mark.mount
def test_a_service_is_ready_when_its_mount_answers_and_says_when_it_stops(home: Home, manager: Manager) -> None:
    environ = {**home.environment, "NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "1000000"}
    with subprocess.Popen(
        home.command("mount", "--foreground", str(home.top)), env=environ, stderr=subprocess.PIPE
    ) as daemon:
        messages = [manager.heard()]
        while ["WATCHDOG=1"] not in messages or not any("READY=1" in message for message in messages):
            messages.append(manager.heard())
        assert ["READY=1", f"STATUS=Mounted at {home.top}"] in messages
        assert home.mounted() and "tags" in os.listdir(home.top)
        daemon.send_signal(signal.SIGTERM)
        while (message := manager.heard())[0] != "STOPPING=1":
            assert message == ["WATCHDOG=1"]
        assert daemon.wait(60) == 0
        assert not home.mounted()


@pytest.mark.mount
def test_a_service_that_cannot_start_says_why(home: Home, manager: Manager) -> None:
    (home.top / "something").touch()
    environ = {**home.environment, "NOTIFY_SOCKET": manager.address}
    done = subprocess.run(home.command("mount", "-f", str(home.top)), env=environ, capture_output=True, timeout=120)
    assert done.returncode == 1
    assert manager.heard() == [f"STATUS=The mount point {home.top} is not empty."]


@pytest.mark.mount
def test_a_daemon_in_the_background_is_no_service(
    home: Home, manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", manager.address)
    home.mount()
    assert home.tagfs("umount").returncode == 0
    Notifier(manager.address).status("the first word")
    assert manager.heard() == ["STATUS=the first word"]
