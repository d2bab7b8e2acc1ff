"""libtorrent's alerts made into events of our own. Pure; at once, since alerts are gone at the next look."""

from __future__ import annotations

import errno
from collections.abc import Callable
from datetime import timedelta
from typing import Final

import libtorrent as lt

from engine.sources.torrent.events import (
    Event,
    Failed,
    Flushed,
    Gone,
    Lost,
    Misled,
    NoRoom,
    PieceDone,
    Saved,
    Status,
    Warned,
)

SAID: Final = 200  # characters of what a tracker says that are shown
_FULL: Final = (errno.ENOSPC, errno.EDQUOT)


def translate(alert: lt.alert) -> Event | None:
    """The event of an alert of one torrent that needs nothing but the alert; None where there is nothing to tell."""
    match alert:
        case lt.piece_finished_alert():
            return PieceDone(alert.piece_index)
        case lt.cache_flushed_alert():
            return Flushed()
        case lt.torrent_removed_alert():
            return Gone()
        case lt.save_resume_data_failed_alert():
            return Saved(None)
        case lt.file_error_alert():
            if alert.error.value() in _FULL:
                return NoRoom()
            return Lost(f"The disk failed: {alert.error.message()}.")
        case lt.torrent_error_alert():
            return Failed(f"The torrent stopped: {alert.error.message()}.")
        case lt.tracker_error_alert():
            reason = _said(alert.error_message) or alert.error.message()
            return Warned(f"A tracker does not help: {reason}.")
        case lt.hash_failed_alert():
            return Warned("What peers sent is wrong; who sent it is left, and it is fetched again.")
        case lt.metadata_failed_alert():
            return Misled("What a peer sent is not the description of this torrent.")
        case lt.url_seed_alert():
            return Warned(f"A web seed does not help: {alert.error.message()}.")
    return None


def _said(text: Callable[[], str]) -> str:
    """What a stranger said, on one line and not long. libtorrent's binding cannot give texts that are not UTF-8."""
    try:
        said = text()
    except UnicodeDecodeError:
        return ""
    return "".join(c if c.isprintable() else " " for c in said)[:SAID].strip(" .")


def saved(params: lt.add_torrent_params) -> Saved:
    try:
        return Saved(bytes(lt.write_resume_data_buf(params)))
    except RuntimeError:  # what libtorrent 2.1.1 makes of a torrent in the middle of a check
        return Saved(None)


def status(found: lt.torrent_status) -> Status:
    return Status(
        download_rate=found.download_payload_rate,
        upload_rate=found.upload_payload_rate,
        peers=found.num_peers,
        uploaded=found.all_time_upload,
        seeding=_seconds(found.seeding_duration),
    )


def _seconds(duration: timedelta | int) -> int:
    return int(duration.total_seconds()) if isinstance(duration, timedelta) else int(duration)
