"""The one libtorrent session of the process: torrents in, events out. On the trio thread; libtorrent has its own.

    add, remove, want ... ──▶ libtorrent's threads ──▶ alerts ──▶ a byte in a socket ──▶ wait_readable ──▶ `deliver`

No call here waits for libtorrent's network thread: what would is asked for by an alert instead, and what only has a
blocking form (making and ending the session, building parameters) runs in a thread. There is no session, and no open
port, before the first torrent.

State: `_handles`, the torrents in the session by the key that the caller chose.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Generic, TypeVar

import libtorrent as lt
import trio

from engine.disk import Disk
from engine.errors import EngineError, first_of
from engine.sources.torrent import alerts
from engine.sources.torrent.bans import Bans
from engine.sources.torrent.config import TorrentConfig
from engine.sources.torrent.events import Added, Checked, Described, Ended, Event, Failed, Gone
from engine.sources.torrent.params import WANTED, Start, build, with_address
from engine.sources.torrent.settings import settings_pack
from engine.supervision import Restarts

Key = TypeVar("Key", bound=Hashable)

TICK = 1.0  # seconds between two looks at how fast everything is
TRADES = 3  # looks in a row that see peers who are no seeds: one who has just connected has not yet said that it is one

_log = logging.getLogger(__name__)


class SessionLost(EngineError):
    """The session failed; `str()` is a sentence, or libtorrent's own words."""


class TorrentSession(Generic[Key]):
    """`deliver` is called with each event, between two awaits; it must neither wait nor fail."""

    def __init__(self, config: TorrentConfig, deliver: Callable[[Key, Event], None]) -> None:
        self._config = config
        self._deliver = deliver
        self._disk = Disk(2)
        self._session: lt.session | None = None
        self._opening = trio.Lock()
        self._opened = trio.Event()
        self._ours, self._theirs = _pair()
        self._handles: dict[Key, lt.torrent_handle] = {}
        self._keys: dict[lt.torrent_handle, Key] = {}
        self._adding: dict[str, Key] = {}  # by infohash: those that have no handle yet
        self._leaving: dict[str, Key] = {}  # by infohash: those that are about to be gone
        self._looks: set[Key] = set()  # whose pieces were asked for
        self._trades: dict[Key, int] = {}  # looks in a row that have seen peers who are no seeds
        self._on_demand: set[Key] = set()  # who fetch only what is read
        self._bans = Bans()
        self.lost: str | None = None  # why there is none and may be none for a while: a sentence
        self._usable = trio.Event()
        self._usable.set()

    async def run(self) -> None:
        """For ever. A session that fails is ended, its torrents hear `Ended`, and who adds one then waits until another
        session may begin."""
        restarts = Restarts()
        try:
            while True:
                try:
                    async with trio.open_nursery() as nursery:
                        nursery.start_soon(self._watch)
                        nursery.start_soon(self._tick)
                except* Exception as group:
                    error = first_of(group)
                    pause = restarts.pause(trio.current_time())
                    _log.exception("the BitTorrent session failed, and another one may begin in %.0f s", pause)
                why = f"The BitTorrent session failed ({str(error) or type(error).__name__})"
                self.lost, self._usable = f"{why} and begins anew in {pause:.0f} s.", trio.Event()
                await self._end()
                self._forget(f"{why}.")
                await trio.sleep(pause)
                self.lost = None
                self._usable.set()
        finally:
            await self._end()
            self._handles.clear()
            self._keys.clear()
            self._ours.close()
            self._theirs.close()

    async def _end(self) -> None:
        with trio.CancelScope(shield=True):
            async with self._opening:
                session, self._session = self._session, None
                if session is not None:
                    with trio.move_on_after(self._config.stop_deadline):
                        await self._disk.run_apart(_end, [session])

    def _forget(self, why: str) -> None:
        """Nothing is in the session, for there is none."""
        there, gone = {*self._handles, *self._adding.values()}, list(self._leaving.values())
        for each in (self._handles, self._keys, self._adding, self._leaving, self._looks, self._trades):
            each.clear()
        self._ours.close()
        self._theirs.close()
        self._ours, self._theirs = _pair()
        self._opened = trio.Event()
        for key in gone:
            self._deliver(key, Gone())
        for key in there:
            self._deliver(key, Ended(why))

    # -- torrents --------------------------------------------------------------------------------------------------
    async def add(self, key: Key, start: Start) -> None:
        """`Added` or `Failed` follows. BadRequest for a .torrent that cannot be read."""
        params = await self._disk.run(build, start, self._config)
        session = await self._open()
        (self._on_demand.add if start.on_demand else self._on_demand.discard)(key)
        self._adding[_name(params.info_hashes)] = key
        session.async_add_torrent(params)

    def has(self, key: Key) -> bool:
        return key in self._handles

    def remove(self, key: Key) -> None:
        """`Gone` follows, and from then on nothing writes to its files."""
        self._on_demand.discard(key)
        self._trades.pop(key, None)
        handle = self._handles.pop(key, None)
        if handle is not None and self._session is not None:
            self._leaving[_name(handle.info_hashes())] = key
            self._keys.pop(handle, None)
            self._session.remove_torrent(handle)

    def halt(self, key: Key) -> None:
        """Leave all peers: no further piece comes."""
        self._handles[key].pause()

    def go(self, key: Key, *, asleep: bool = False) -> None:
        """End a hold. `asleep`: but wait for `wake`."""
        handle = self._handles[key]
        handle.unset_flags(lt.torrent_flags.stop_when_ready)
        if not asleep:
            handle.resume()

    def wake(self, key: Key) -> None:
        """Look for peers, of whom pieces are wanted by now. A torrent that wants none tells its peers that it only
        uploads. Seeds then hang up, and libtorrent does not go back to them when it wants something later."""
        self._handles[key].resume()

    def flush(self, key: Key) -> None:
        """Two `Flushed` follow. libtorrent tells of flushes of its own, too, and at most one of those can be on its
        way: whoever has seen two knows that the first that was asked for here is done."""
        for _ in range(FLUSHES):
            self._handles[key].flush_cache()

    def save(self, key: Key) -> None:
        """`Saved` follows."""
        self._handles[key].save_resume_data(0)

    def look(self, key: Key) -> None:
        """`Checked` follows, with the pieces that are here."""
        self._looks.add(key)
        self._handles[key].post_status(lt.status_flags_t.query_pieces)

    def want_file(self, key: Key, position: int, *, wanted: bool) -> None:
        self._handles[key].file_priority(position, WANTED if wanted else 0)

    def want_pieces(self, key: Key, priorities: Mapping[int, int]) -> None:
        """Priorities from 0 (not at all) to 7."""
        self._handles[key].prioritize_pieces(list(priorities.items()))

    def hurry(self, key: Key, piece: int, milliseconds: int) -> None:
        """Somebody waits for it."""
        self._handles[key].set_piece_deadline(piece, milliseconds)

    def no_hurry(self, key: Key, pieces: Iterable[int]) -> None:
        for piece in pieces:
            self._handles[key].reset_piece_deadline(piece)

    def add_trackers(self, key: Key, urls: Iterable[str]) -> None:
        for tier, url in enumerate(urls):
            self._handles[key].add_tracker({"url": url, "tier": tier})

    def connect(self, key: Key, peers: Iterable[tuple[str, int]]) -> None:
        for peer in with_address(peers):
            self._handles[key].connect_peer(peer)

    # -- in between ------------------------------------------------------------------------------------------------
    async def _open(self) -> lt.session:
        await self._usable.wait()
        async with self._opening:
            if self._session is None:
                self._session = await self._disk.run(_begin, self._config)
                self._session.set_ip_filter(self._bans.filter())
                self._session.set_alert_fd(self._theirs.fileno())
                self._opened.set()
            return self._session

    async def _watch(self) -> None:
        await self._opened.wait()
        while True:
            self._drain()
            if self._session is not None:
                for alert in self._session.pop_alerts():
                    self._hear(alert)
            await trio.lowlevel.wait_readable(self._ours)

    async def _tick(self) -> None:
        """Speeds and totals have no alert of their own: they are asked for while there is a torrent."""
        await self._opened.wait()
        while True:
            await trio.sleep(TICK)
            if self._session is not None and self._handles:
                self._session.post_torrent_updates(0)

    def _drain(self) -> None:
        """Before the alerts are taken: a byte that comes afterwards is for alerts that come afterwards."""
        try:
            while self._ours.recv(4096):
                pass
        except BlockingIOError:
            pass

    def _hear(self, alert: lt.alert) -> None:
        match alert:
            case lt.add_torrent_alert():
                self._added(alert)
            case lt.state_update_alert():
                for status in alert.status:
                    self._status(status)
            case lt.alerts_dropped_alert():
                _log.info("libtorrent had more to tell than fits, so every torrent is looked at")
                for key in list(self._handles):
                    self.look(key)
            case lt.torrent_removed_alert():
                gone = self._leaving.pop(_name(alert.info_hashes), None)
                if gone is not None:
                    self._deliver(gone, Gone())
            case lt.listen_failed_alert():
                _log.info("torrents: %s", alert.message())
            case lt.peer_ban_alert():
                self._ban(alert.endpoint[0])
            case lt.torrent_alert():
                self._of_torrent(alert)
            case _ if alert.what() == "session_error":  # the binding has no class for it
                raise SessionLost(alert.message())

    def _ban(self, address: str) -> None:
        if self._bans.note(address) and self._session is not None:
            _log.info("peers at %s lie, so that it is not spoken to any more", address)
            self._session.set_ip_filter(self._bans.filter())

    def _added(self, alert: lt.add_torrent_alert) -> None:
        key = self._adding.pop(_name(alert.params.info_hashes), None)
        if key is None:
            return
        if alert.error.value():
            self._deliver(key, Failed(f"The torrent cannot be started: {alert.error.message()}."))
            return
        self._handles[key] = alert.handle
        self._keys[alert.handle] = key
        self._deliver(key, Added())

    def _of_torrent(self, alert: lt.torrent_alert) -> None:
        key = self._keys.get(alert.handle)
        if key is None:
            return
        match alert:
            case lt.torrent_checked_alert():
                self.look(key)
            case lt.metadata_received_alert():
                alert.handle.save_resume_data(lt.save_resume_flags_t.save_info_dict)
            case lt.save_resume_data_alert():
                if alert.params.ti is not None:
                    self._deliver(key, Described(bytes(alert.params.ti.info_section())))
                else:
                    self._deliver(key, alerts.saved(alert.params))
            case _:
                event = alerts.translate(alert)
                if event is not None:
                    self._deliver(key, event)

    def _status(self, status: lt.torrent_status) -> None:
        key = self._keys.get(status.handle)
        if key is None:
            return
        if key in self._looks and len(status.pieces):
            self._looks.discard(key)
            self._deliver(key, Checked(bytes(status.pieces)))
        trades = self._trades[key] = self._trades.get(key, 0) + 1 if status.num_peers > status.num_seeds else 0
        in_order = trades < TRADES and key not in self._on_demand
        if in_order != bool(status.flags & lt.torrent_flags.sequential_download):
            self._choose_order(status.handle, in_order)
        self._deliver(key, alerts.status(status))

    def _choose_order(self, handle: lt.torrent_handle, in_order: bool) -> None:
        """Rare pieces first is for those who trade them. Where all peers are seeds, pieces come in order, so that a
        file can be hashed while it arrives, and be read from its beginning. Not on demand: the first piece that a
        reader waits for came after 1.3 s in order and after 0.4 s without (50 ms, 50 Mbit/s)."""
        if in_order:
            handle.set_flags(lt.torrent_flags.sequential_download)
        else:
            handle.unset_flags(lt.torrent_flags.sequential_download)


FLUSHES = 2


def _pair() -> tuple[socket.socket, socket.socket]:
    ours, theirs = socket.socketpair()
    for end in (ours, theirs):
        end.setblocking(False)
    return ours, theirs


def _name(hashes: lt.info_hash_t) -> str:
    """What a torrent is called while it has no handle."""
    return str(hashes.v1) if hashes.has_v1() else str(hashes.v2)


def _begin(config: TorrentConfig) -> lt.session:
    return lt.session(settings_pack(config))  # type: ignore[call-overload, no-any-return]  # a dict with known keys


def _end(holder: list[lt.session]) -> None:
    """The last reference goes here: the destructor waits for trackers to be told."""
    holder.clear()
