"""The state directory and the disk below it. Blocking; changes nothing."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator

from tagfs.amounts import counted, shown
from tagfs.config.load import Loaded
from tagfs.config.paths import CATALOGUE_NAME, RESERVE_NAME
from tagfs.config.settings import Config
from tagfs.doctor.finding import Finding, fault, ok, warning

FEW_INODES = 10_000


def examine(loaded: Loaded) -> Iterator[Finding]:
    yield ok("config", f"{loaded.file} can be used." if os.path.exists(loaded.file) else "There is no config file.")
    state = loaded.config.paths.state
    if not os.path.isdir(state):
        if os.path.lexists(state):
            yield fault("state", f"{state} is no directory.", "Move it away, or choose another one with --state.")
            return
        yield ok("state", f"{state} does not exist yet; tagfs mount makes it.")
        yield from disk(_existing(state), loaded.config)
        return
    yield from private(state, "state")
    if loaded.config.paths.runtime != state:
        yield from private(loaded.config.paths.runtime, "runtime")
    yield from one_disk(state)
    yield from disk(state, loaded.config)
    quarantine = os.path.join(state, "quarantine")
    if os.path.isdir(quarantine) and (count := len(os.listdir(quarantine))):
        advice = "Look at them, keep what you miss, and remove the folder."
        yield warning("quarantine", f"{counted(count, 'file')} put aside in {quarantine}.", advice)


def private(folder: str, about: str) -> Iterator[Finding]:
    try:
        status = os.stat(folder)
    except FileNotFoundError:
        return  # made at the start
    if status.st_uid != os.geteuid():
        advice = f"As root: chown -R {os.geteuid()} {folder}, or run tagfs as its owner."
        yield fault(about, f"{folder} belongs to another user (uid {status.st_uid}).", advice)
    elif not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        yield fault(about, f"{folder} cannot be written to.", f"chmod 0700 {folder}, unless the disk is read-only.")
    elif status.st_mode & 0o077:
        mode = stat.S_IMODE(status.st_mode)
        yield warning(about, f"Others may look into {folder} (mode {mode:04o}).", f"chmod 0700 {folder}; a start does.")
    else:
        yield ok(about, f"{folder} is yours alone.")


def one_disk(state: str) -> Iterator[Finding]:
    """Content gets its name by a rename, which does not reach another file system."""
    for name in ("blobs", "staging", "torrents"):
        path = os.path.join(state, name)
        if os.path.isdir(path) and os.stat(path).st_dev != os.stat(state).st_dev:
            advice = f"Mount one file system at {state}, and nothing below it."
            yield fault("disk", f"{path} is on another file system than {state}.", advice)


def disk(folder: str, config: Config) -> Iterator[Finding]:
    found = os.statvfs(folder)
    free, floor = found.f_bavail * found.f_frsize, config.transfer.reserve
    if found.f_flag & os.ST_RDONLY:
        advice = "Look at the kernel's log (dmesg): a file system that finds an error becomes read-only."
        yield fault("disk", f"The file system of {folder} is read-only.", advice)
    if free < floor:
        advice = "Delete something (tagfs trash empty works on a full disk), or lower reserve in [transfer]."
        yield fault("disk", f"{shown(free)} are free, and downloads wait below {shown(floor)}.", advice)
    elif free < 4 * floor:
        yield warning("disk", f"Only {shown(free)} are free.", f"Below {shown(floor)} downloads wait for space.")
    else:
        yield ok("disk", f"{shown(free)} are free.")
    if found.f_files and found.f_favail < FEW_INODES:  # btrfs says 0 of 0
        advice = "Each content is a file: delete some, or make a file system with more inodes (mkfs.ext4 -i)."
        yield warning("inodes", f"Only {found.f_favail} more files can be made.", advice)
    reserve = os.path.join(folder, RESERVE_NAME)
    if os.path.exists(os.path.join(folder, CATALOGUE_NAME)) and free >= floor and not os.path.exists(reserve):
        yield ok("reserve", "Nothing is kept for the catalogue yet; the next start does that.")


def _existing(path: str) -> str:
    while not os.path.isdir(path):
        path = os.path.dirname(path)
    return path
