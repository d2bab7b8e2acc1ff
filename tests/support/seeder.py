"""The other end of a swarm: a libtorrent session in a process of its own, told what to do by tests.support.swarm.

python -m tests.support.seeder '{"listen_interfaces": "127.0.0.1:0", ...}'

Settings are libtorrent's. Reads one JSON object a line from stdin and answers each with one line on stdout; ends with
its stdin. Nothing here knows tagfs.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import libtorrent as lt

PATIENCE = 200.0
TICK_MS = 250  # of waiting for an alert, after which progress is looked at again


class Session:
    def __init__(self, settings: dict[str, Any]) -> None:
        self._session = lt.session(settings)
        everybody = lt.ip_filter()
        everybody.add_rule("0.0.0.0", "255.255.255.255", 1 << lt.session.global_peer_class_id)
        self._session.set_peer_class_filter(everybody)  # or limits would not hold for peers on loopback
        self._handles: dict[str, lt.torrent_handle] = {}
        self._params: dict[str, lt.add_torrent_params] = {}

    def port(self) -> dict[str, Any]:
        self._until(lambda: self._session.listen_port() != 0)
        return {"port": self._session.listen_port()}

    def add(
        self, torrent: str, folder: str, seed: bool, renamed: dict[str, str], upload_limit: int, only: int
    ) -> dict[str, Any]:
        """`torrent` is a path or a magnet. With `seed`, all of it is in `folder` and is not looked at; with `only`, it
        has the first so many pieces."""
        params = lt.parse_magnet_uri(torrent) if torrent.startswith("magnet:") else lt.load_torrent_file(torrent)
        params.save_path = folder
        params.flags &= ~(lt.torrent_flags.auto_managed | lt.torrent_flags.paused)
        if only:
            params.have_pieces = [piece < only for piece in range(params.ti.num_pieces())]
        elif seed:
            params.flags |= lt.torrent_flags.seed_mode
        if renamed:
            params.renamed_files = {int(index): name for index, name in renamed.items()}
        params.upload_limit = upload_limit
        hashes = params.info_hashes
        key = str(hashes.v1) if hashes.has_v1() else str(hashes.v2)
        self._handles[key] = self._session.add_torrent(params)
        return {"id": key}

    def remove(self, id: str) -> dict[str, Any]:
        self._session.remove_torrent(self._handles.pop(id))
        return {}

    def connect(self, id: str, host: str, port: int) -> dict[str, Any]:
        self._handles[id].connect_peer((host, port))
        return {}

    def status(self, id: str) -> dict[str, Any]:
        """Payload in bytes since the start; `done` counts what is here and checked."""
        status = self._handles[id].status()
        return {
            "state": str(status.state),
            "seeding": bool(status.is_seeding),
            "uploaded": status.total_payload_upload,
            "downloaded": status.total_payload_download,
            "done": status.total_done,
            "peers": status.num_peers,
            "error": status.errc.message() if status.errc.value() else "",
        }

    def wait(self, id: str, seeding: bool, done: int, uploaded: int) -> dict[str, Any]:
        """Until all that is asked for is so: it has everything, or has so many bytes, or has sent so many."""

        def enough() -> bool:
            status = self._handles[id].status()
            return (
                (status.is_seeding or not seeding)
                and status.total_done >= done
                and status.total_payload_upload >= uploaded
            )

        reached = self._until(enough)
        if reached and seeding:
            self._until_flushed(id)
        return {**self.status(id), "reached": reached}

    def settings(self, values: dict[str, Any]) -> dict[str, Any]:
        self._session.apply_settings(values)
        return {}

    def _until_flushed(self, id: str) -> None:
        """What libtorrent has finished may not be in the files yet."""
        self._handles[id].flush_cache()
        self._until(lambda: any(isinstance(alert, lt.cache_flushed_alert) for alert in self._session.pop_alerts()))

    def _until(self, condition: Callable[[], bool]) -> bool:
        deadline = time.monotonic() + PATIENCE
        while not condition():
            if time.monotonic() > deadline:
                return False
            self._session.wait_for_alert(TICK_MS)
            if condition():
                return True
            self._session.pop_alerts()
        return True


def main() -> None:
    session = Session(json.loads(sys.argv[1]))
    for line in sys.stdin:
        asked = json.loads(line)
        verb = asked.pop("do")
        try:
            answer = getattr(session, verb)(**asked)
        except (RuntimeError, KeyError, TypeError, AttributeError) as error:  # the caller is told, and raises it
            answer = {"failed": f"{type(error).__name__}: {error}"}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
