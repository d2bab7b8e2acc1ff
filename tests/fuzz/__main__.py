"""Coverage-guided fuzzing of all targets, or of those named: `python -m tests.fuzz [--seconds N] [TARGET...]`.

Each target runs under atheris in a process of its own, for N seconds, from its seeds and what earlier runs found (in
.fuzz/TARGET). An input that fails, takes over 10 s or makes the process larger than 1 GiB is a find: it is kept beside
the corpus, and the exit code is 1. Prints executions, seconds and the peak memory of each.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

HERE: Final = Path(".fuzz")
SLOW: Final = 10  # seconds that one input may take
MEMORY: Final = 1024  # MiB


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Fuzz what reads foreign input.")
    parser.add_argument("--seconds", type=int, default=60, metavar="N", help="of each target (%(default)s)")
    parser.add_argument("target", nargs="*", help="all, unless some are named")
    given = parser.parse_args()
    from tests.fuzz.targets import TARGETS

    if unknown := set(given.target) - TARGETS.keys():
        parser.error(f"there is no target {min(unknown)}; there are {', '.join(TARGETS)}")
    failed = [name for name in given.target or TARGETS if not _fuzz(name, given.seconds)]
    _say(f"finds in: {', '.join(failed)}" if failed else "no finds")
    return 1 if failed else 0


def _fuzz(name: str, seconds: int) -> bool:
    from tests.fuzz.targets import LIMIT, TARGETS, WORDS

    target, corpus = TARGETS[name], HERE / name
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(target.seeds):
        (corpus / f"seed-{number}").write_bytes(seed)
    words = HERE / f"{name}.words"
    words.write_text("".join(f'"{_spelled(word)}"\n' for word in target.words + WORDS))
    run = subprocess.run(
        [sys.executable, "-c", f"from tests.fuzz.__main__ import child; child({name!r})", str(corpus),
         f"-dict={words}", f"-max_len={LIMIT}", f"-max_total_time={seconds}", f"-timeout={SLOW}",
         f"-rss_limit_mb={MEMORY}", f"-artifact_prefix={HERE}/{name}-", "-print_final_stats=1"],
        capture_output=True, text=True, errors="replace", check=False,
    )  # fmt: skip
    numbers = dict(re.findall(r"stat::(\w+):\s+(\d+)", run.stderr))
    _say(
        f"{name:15} {numbers.get('number_of_executed_units', '?'):>9} executions in {seconds} s, "
        f"{numbers.get('peak_rss_mb', '?'):>4} MiB at most: {'ok' if run.returncode == 0 else 'FIND'}"
    )
    if run.returncode:
        (HERE / f"{name}.log").write_text(run.stderr)
        _say(run.stderr[-3000:])
    return run.returncode == 0


def child(name: str) -> None:
    """The process of one target; its arguments are libFuzzer's."""
    import atheris

    with atheris.instrument_imports(include=["engine", "query", "tagfs"]):
        from tests.fuzz.targets import TARGETS
    atheris.Setup(sys.argv, TARGETS[name])
    atheris.Fuzz()


def _spelled(word: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in word)


def _say(text: str) -> None:
    sys.stdout.write(text + os.linesep)
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
