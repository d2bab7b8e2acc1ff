"""Contenders side by side: alternating, medians, each with the wall time and the CPU time of its processes.

A contender is a name, the programs that it wants, and a function that does the work of one round. One whose program is
missing is named and left out. One that fails or takes longer than its patience stays in the table with that said.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

TICKS = os.sysconf("SC_CLK_TCK")


class TookTooLong(Exception):
    """A contender did not finish within its patience."""


@dataclass(frozen=True)
class Result:
    """Seconds. `cpu` is user and system time of everything that the contender ran."""

    wall: float
    cpu: float


@dataclass(frozen=True)
class Contender:
    name: str
    run: Callable[[int], Result]  # of one round, by its number
    programs: tuple[str, ...] = ()


@dataclass
class Standing:
    results: list[Result] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


def contest(
    contenders: Sequence[Contender],
    rounds: int,
    *,
    before: Callable[[int], None] = lambda number: None,
    after: Callable[[], None] = lambda: None,
) -> dict[str, Standing]:
    """Every contender once a round, in turn. `before` makes what a round needs, `after` clears up after each run."""
    able = [one for one in contenders if not missing(one)]
    standings = {one.name: Standing() for one in able}
    for number in range(rounds):
        before(number)
        for turn in range(len(able)):
            one = able[(turn + number) % len(able)]  # nobody always runs after the same one
            if len(standings[one.name].failures) > 1 and not standings[one.name].results:
                continue  # it cannot do this, and has had its chance
            os.sync()  # nor pays for what another left to be written
            try:
                standings[one.name].results.append(one.run(number))
            except (TookTooLong, subprocess.SubprocessError, OSError) as error:
                standings[one.name].failures.append(f"{type(error).__name__}: {error}")
            after()
    return standings


def missing(contender: Contender) -> list[str]:
    names = [name for name in contender.programs if shutil.which(name) is None]
    if names:
        print(f"  {contender.name} is left out: {', '.join(names)} not found")
    return names


def table(standings: dict[str, Standing], base: str, unit: tuple[str, Callable[[float], float]] | None = None) -> None:
    """Medians, with ratios to `base`; `unit` adds a column made of the wall time."""
    against = _median(standings[base].results) if base in standings and standings[base].results else None
    head = f"  {'':<26} {'wall s':>8} {'min-max':>14} {'x ' + base:>12} {'CPU s':>8} {'x':>6}"
    print(head + (f" {unit[0]:>9}" if unit else ""))
    for name, standing in standings.items():
        if not standing.results:
            print(f"  {name:<26} {standing.failures[-1] if standing.failures else 'did not run'}")
            continue
        own = _median(standing.results)
        walls = [result.wall for result in standing.results]
        ratios = (f"{own.wall / against.wall:>12.2f}", f"{own.cpu / against.cpu:>6.2f}") if against else ("", "")
        line = f"  {name:<26} {own.wall:>8.2f} {f'{min(walls):.2f}-{max(walls):.2f}':>14} {ratios[0]:>12}"
        line += f" {own.cpu:>8.2f} {ratios[1]:>6}"
        line += f" {unit[1](own.wall):>9.1f}" if unit else ""
        failed = f"  ({len(standing.failures)} runs failed: {standing.failures[-1]})" if standing.failures else ""
        print(line + failed)


def _median(results: list[Result]) -> Result:
    return Result(median(one.wall for one in results), median(one.cpu for one in results))


def run(command: Sequence[str], *, patience: float = 120.0, good: tuple[int, ...] = (0,)) -> Result:
    """A command from its start to its end, with all its children."""
    started = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        try:
            before = cpu_of_children()
            _, complaint = process.communicate(timeout=patience)
        except subprocess.TimeoutExpired:
            process.kill()
            raise TookTooLong(f"not done after {patience:.0f} s") from None
    wall = time.perf_counter() - started
    if process.returncode not in good:
        raise subprocess.SubprocessError(f"{command[0]} ended with {process.returncode}: {complaint[-200:]!r}")
    return Result(wall, cpu_of_children() - before)


def cpu_of_children() -> float:
    """User and system time of all that ended below us, and was waited for."""
    times = os.times()
    return times.children_user + times.children_system


def cpu_of(pid: int) -> float:
    """User and system time so far of one process with all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def until(condition: Callable[[], bool], *, patience: float = 120.0, every: float = 0.01) -> None:
    """Another process has no event to wait for."""
    deadline = time.perf_counter() + patience
    while not condition():
        if time.perf_counter() > deadline:
            raise TookTooLong(f"not done after {patience:.0f} s")
        time.sleep(every)
