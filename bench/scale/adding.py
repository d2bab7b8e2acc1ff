"""Items a second: small files through `tagfs import`, and through `cp` into the mount, among N items.

python -m bench.scale.adding [--items 100000] [--rounds 3]

`cp` returns when the files are there to be read; their hashing goes on, so the time until the last one is whole is
given as well. Beside them `cp` to the disk, and the same files written, synced and renamed one by one, which is the
least that a durable copy costs without grouping.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from statistics import median

from bench.contest import cpu_of, until
from bench.daemon import compiled, mounted
from bench.scale.bars import Bar, Options, count, once, options, show
from bench.scale.catalogues import copy

FILES, SIZE = 2_000, 4096
IMPORT, CP = 2_000, 500


def main() -> None:
    show(measure(options(__doc__)))


def measure(chosen: Options) -> list[Bar]:
    items = chosen.largest
    imports: list[float] = []
    copies, wholes, natives, durables, cpu_import, cpu_cp = [], [], [], [], [], []
    with copy(items) as (state, mountpoint), mounted(state, mountpoint) as (process, _):
        for number in range(chosen.rounds):
            place = Path(os.path.dirname(state))
            one = _make(place / f"import-{number}", number * 4)
            before = cpu_of(process.pid)
            command = [sys.executable, "-m", "tagfs", "import", str(one), "-t", f"import{number}"]
            imports.append(once(lambda command=command, state=state: _run(command, state)))
            cpu_import.append(cpu_of(process.pid) - before)
            two = _make(place / f"cp-{number}", number * 4 + 1)
            target = os.path.join(mountpoint, "tags", f"cp{number}")
            os.mkdir(target)
            before = cpu_of(process.pid)
            took = once(lambda two=two, target=target: _cp(two, target))
            copies.append(took)
            wholes.append(took + once(lambda target=target: _until_whole(target)))
            cpu_cp.append(cpu_of(process.pid) - before)
            (place / f"native-{number}").mkdir()
            natives.append(once(lambda two=two, place=place, number=number: _cp(two, str(place / f"native-{number}"))))
            durables.append(once(lambda place=place, number=number: _durably(place / f"durable-{number}", number)))
    each = [FILES / median(times) for times in (imports, copies, wholes, natives, durables)]
    said = f"{each[0]:,.0f} a second, daemon's CPU {median(cpu_import) / FILES * 1e6:.0f} us each"
    beside = f"{each[0] / each[4]:.1f} x written, synced, renamed one by one ({each[4]:,.0f})"
    whole = f"{each[1]:,.0f} a second, {each[2]:,.0f} until all are whole"
    whole += f", daemon's CPU {median(cpu_cp) / FILES * 1e6:.0f} us each"
    return [
        Bar(f"`import` of {FILES:,} files, {count(items)}", f">= {IMPORT:,}", said, beside, each[0] >= IMPORT),
        Bar(
            f"`cp` of {FILES:,} files, {count(items)}",
            f">= {CP}",
            whole,
            f"{each[1] / each[3]:.2f} x cp to the disk ({each[3]:,.0f})",
            each[1] >= CP,
        ),
    ]


def _make(folder: Path, seed: int) -> Path:
    folder.mkdir()
    for number in range(FILES):
        (folder / f"{seed}-{number}.txt").write_bytes(f"{seed} {number} ".encode().ljust(SIZE, b"x"))
    return folder


def _run(command: list[str], state: str) -> None:
    subprocess.run(command, env={**compiled(), "TAGFS_STATE": state}, check=True, stdout=subprocess.DEVNULL)


def _cp(source: Path, target: str) -> None:
    subprocess.run(["cp", "-t", target, *map(str, source.iterdir())], check=True)


def _until_whole(directory: str) -> None:
    for path in sorted(os.path.join(directory, name) for name in os.listdir(directory)):
        until(lambda path=path: os.getxattr(path, "user.tagfs.state") == b"complete")


def _durably(folder: Path, seed: int) -> None:
    folder.mkdir()
    for number in range(FILES):
        fd = os.open(folder / "new", os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        os.write(fd, f"{seed} {number} ".encode().ljust(SIZE, b"x"))
        os.fsync(fd)
        os.close(fd)
        (folder / "new").rename(folder / str(number))


if __name__ == "__main__":
    main()
