"""Starts programs for a test that has files of a mount open which may die.

Before a new process becomes another program it closes what it has inherited, and to close a file of a mount whose
daemon was killed and cannot end means to wait for ever. So they are started by a process that has none.

    with starter() as begin:
        process = begin(["sleep", "1"], dict(os.environ), Path("log"))     # a little of what subprocess.Popen can

`python -m tests.support.starter` is that process: a JSON object a line in, one out.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
Begin = Callable[[Sequence[str], dict[str, str], Path], "Process"]


class Process:
    def __init__(self, ask: Callable[..., int | None], pid: int) -> None:
        self._ask = ask
        self.pid = pid
        self._descriptor = os.pidfd_open(pid)
        self.returncode: int | None = None

    def poll(self) -> int | None:
        try:
            return self.wait(0)
        except subprocess.TimeoutExpired:
            return None

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            if not select.select([self._descriptor], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
            self.returncode = self._ask(do="wait", pid=self.pid)
            os.close(self._descriptor)
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.returncode is None:
            signal.pidfd_send_signal(self._descriptor, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


@contextmanager
def starter() -> Iterator[Begin]:
    """Processes that still run when the block ends are killed."""
    made: list[Process] = []
    with subprocess.Popen(
        [sys.executable, "-m", __name__], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as helper:

        def ask(**request: object) -> int | None:
            assert helper.stdin is not None and helper.stdout is not None
            helper.stdin.write(json.dumps(request) + "\n")
            helper.stdin.flush()
            answer = json.loads(helper.stdout.readline())
            assert answer is None or isinstance(answer, int)
            return answer

        def begin(command: Sequence[str], environ: dict[str, str], log: Path) -> Process:
            pid = ask(do="start", command=list(command), environ=environ, log=str(log))
            assert pid is not None
            made.append(Process(ask, pid))
            return made[-1]

        try:
            yield begin
        finally:
            for process in made:
                process.kill()


def main() -> None:
    running: dict[int, subprocess.Popen[bytes]] = {}
    for line in sys.stdin:
        request = json.loads(line)
        if request["do"] == "start":
            with open(request["log"], "ab") as log:
                process = subprocess.Popen(request["command"], env=request["environ"], stdout=log, stderr=log)
            running[process.pid] = process
            answer: int = process.pid
        else:
            answer = running.pop(request["pid"]).wait()
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
