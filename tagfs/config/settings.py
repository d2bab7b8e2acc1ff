"""Every setting, declared once. Pure; imports nothing of the engine. Any thread.

docs/configuration.md has one row for each field below, and a test compares the two. `Config` is what the daemon runs
with; `tagfs.config.load` fills it, `tagfs.config.transfer` turns the [transfer] section into the engine's own type.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tagfs.config.kinds import age, amount, choice, flag, folders, integer, number, path, proxy, texts, words
from tagfs.config.mount_options import MountOptions
from tagfs.config.request_headers import headers, host_headers

# Thumbnailers and indexers, by the first 15 letters of their names.
ONLOOKERS = (
    "tumblerd, ffmpegthumbnailer, totem-video-thumbnailer, gst-video-thumbnailer, gdk-pixbuf-thumbnailer, "
    "glycin-thumbnailer, evince-thumbnailer, papers-thumbnailer, atril-thumbnailer, gsf-office-thumbnailer, "
    "gnome-thumbnail-font, thumbnail.so, tracker-extract-3, tracker-miner-fs-3, localsearch-3, "
    "localsearch-extractor-3, baloo_file, baloo_file_extractor, recollindex"
)


@dataclass(frozen=True, slots=True)
class Paths:
    """[paths]. Both are absolute once loaded; empty means that nobody has chosen."""

    state: str = path(
        "where the catalogue, the blobs and unfinished downloads live; one daemon a directory",
        shown="`$XDG_DATA_HOME/tagfs`, else `~/.local/share/tagfs`",
        unset="",
    )
    runtime: str = path(
        "folder of the control socket",
        shown="`$XDG_RUNTIME_DIR/tagfs`, else the state directory itself",
        unset="",
    )


@dataclass(frozen=True, slots=True)
class Transfer:
    """[transfer]. How downloads behave."""

    max_active: int = integer(8, "downloads", "how many downloads run at once; the others wait their turn", low=1)
    max_per_host: int = integer(4, "downloads", "how many of them from one host", low=1)
    split: int = integer(5, "connections", "of one download at once, where more make it quicker", low=1, high=64)
    max_connections_per_host: int = integer(
        8, "connections", "to one host over all downloads, beyond the first of each", low=1
    )
    min_split_size: int = integer(1 << 20, "bytes", "what a further connection must have to fetch", low=1 << 16)
    reader_connections: int = integer(3, "connections", "further ones of a download, for readers far from its front")
    read_patience: float = number(60.0, "seconds", "how long a read waits for bytes that have not arrived", low=0.1)
    onlookers: str = words(
        ONLOOKERS, "programs, comma-separated, whose reading fetches nothing, as if they opened with O_NOATIME"
    )
    max_waiters: int = integer(500, "reads", "how many reads may wait at once; more get EAGAIN", low=1, high=900)
    retries: int = integer(10, "attempts", "failures in a row after which a download counts as failed")
    backoff_first: float = number(1.0, "seconds", "wait before the first retry; each further wait doubles", low=0.01)
    backoff_max: float = number(3600.0, "seconds", "longest wait between two attempts", low=0.01)
    limit_rate: int = integer(0, "bytes/second", "how fast all downloads but torrents are together; 0: no limit")
    min_rate: int = integer(1024, "bytes/second", "a transfer slower than this over a minute is cut and tried again")
    connect_timeout: float = number(15.0, "seconds", "how long name lookup, connection and TLS may take", low=0.1)
    header_timeout: float = number(30.0, "seconds", "how long a server may take to answer a request", low=0.1)
    read_timeout: float = number(30.0, "seconds", "how long a server may pause within a body", low=0.1)
    reserve: int = integer(64 << 20, "bytes", "left free on the store's file system; downloads wait below that")
    user_agent: str = words("tagfs/0.1", "what tagfs calls itself to servers")
    headers: Mapping[str, str] = headers("request headers for every server, by name; nothing secret")
    host_headers: Mapping[str, Mapping[str, str]] = host_headers("request headers for one server, by host and name")
    proxy: str | None = proxy("http, https, socks5 or socks5h URL, for all downloads; may hold a password")
    cookies: str | None = path("cookie file in the format of Netscape and curl, read when the daemon starts")
    netrc: str | None = path("netrc file with logins by host, for URLs that hold none")
    ca_file: str | None = path("further certificate authorities, PEM; verification is never off")
    max_redirects: int = integer(10, "redirects", "how many one request may follow")
    private_redirects: bool = flag(
        False, "follow a redirect from a public address to a private one, and mirrors there that a Metalink names"
    )


@dataclass(frozen=True, slots=True)
class Torrent:
    """[torrent]. BitTorrent: what is opened and asked, how much, and how long is seeded."""

    listen: str = words("0.0.0.0:6881,[::]:6881", "interfaces and port, comma-separated; port 0 is any free one")
    outgoing: str = words("", "address or interface that connections are made from; empty: the system's choice")
    encryption: str = choice("allowed", ("allowed", "required", "off"), "of connections to peers")
    proxy: str | None = proxy("http, socks5 or socks5h URL, for peers and trackers; may hold a password")
    dht: bool = flag(True, "ask the distributed hash table for peers; without it, links without trackers find none")
    pex: bool = flag(True, "exchange addresses of peers with peers")
    lsd: bool = flag(False, "look for peers in the local network by multicast")
    port_mapping: bool = flag(False, "ask the router to forward the port, by UPnP and NAT-PMP")
    utp: bool = flag(False, "connect to peers by uTP, too; from peers it is always taken")
    private_addresses: bool = flag(False, "ask trackers and web seeds that are in private networks")
    download_rate: int = integer(0, "bytes/second", "limit over all torrents; 0: none")
    upload_rate: int = integer(0, "bytes/second", "limit over all torrents; 0: none")
    connections: int = integer(200, "connections", "limit over all torrents", low=2, high=20_000)
    max_active: int = integer(8, "torrents", "how many arrive at once; the others wait their turn", low=1)
    seed: bool = flag(True, "go on to seed what is complete, until a goal is reached")
    seed_ratio: float = number(2.0, "", "seeding ends when this many times the size was sent; 0: no such goal")
    seed_time: float = number(0.0, "seconds", "seeding ends after so long; 0: no such goal")


@dataclass(frozen=True, slots=True)
class Watch:
    """[watch]. Folders outside of the mount from which downloads are picked up."""

    folders: Mapping[str, str] = folders("absolute path of each folder, and the tags of what is found there")
    after: str = choice("rename", ("rename", "remove"), "what becomes of a file whose downloads were added")


@dataclass(frozen=True, slots=True)
class History:
    """[history]. How much is kept of what was done, for `tagfs log` and `tagfs undo`."""

    keep: str = age("365d", "older changes are forgotten; empty: none for their age")
    max_changes: int = integer(1_000_000, "changes", "the oldest beyond so many are forgotten", low=1)


@dataclass(frozen=True, slots=True)
class Rule:
    """[[rules]], once for each. What the query and the tags may be the daemon says when it starts."""

    match: str = words("", "a query, as an expression: what the rule is about")
    tags: tuple[str, ...] = texts("tags that what matches gets")
    accept: tuple[str, ...] = texts("of what is suggested for it, which keys are taken at once")


@dataclass(frozen=True, slots=True)
class Trash:
    """[trash]. What of it ends by itself, when the daemon starts and once a day; nothing, as long as both are empty."""

    max_age: str = age("", "what has been there for longer ends for good, such as 30d; empty: never for its age")
    max_size: str = amount(
        "", "the oldest ends for good when all together is more, such as 50G; empty: never for its size"
    )


@dataclass(frozen=True, slots=True)
class Scrub:
    """[scrub]. Reading all contents again in the background, to know what a disk has changed."""

    every: str = age("30d", "so often a pass over all contents begins, such as 30d; empty: never")
    rate: int = integer(8 << 20, "bytes/second", "how fast it reads; 0: as fast as it can")


@dataclass(frozen=True, slots=True)
class Log:
    """[log]."""

    level: str = choice("info", ("debug", "info", "warning", "error"), "what is worth a line in the log")
    file: str | None = path("log file of a daemon in the background", shown="`daemon.log` in the state directory")
    max_size: str = amount("16M", "a log file that is larger is moved to `.1`, and that to `.2`; empty: never")
    keep: int = integer(3, "files", "how many of those there are", low=1, high=1000)


@dataclass(frozen=True, slots=True)
class Config:
    """All settings of one run."""

    paths: Paths = field(default_factory=Paths)
    transfer: Transfer = field(default_factory=Transfer)
    torrent: Torrent = field(default_factory=Torrent)
    mount: MountOptions = field(default_factory=MountOptions)
    watch: Watch = field(default_factory=Watch)
    history: History = field(default_factory=History)
    trash: Trash = field(default_factory=Trash)
    scrub: Scrub = field(default_factory=Scrub)
    log: Log = field(default_factory=Log)
    rules: tuple[Rule, ...] = ()
    file: str = ""  # where they stand


RULES = "rules"  # the one section that is there any number of times

SECTIONS: Mapping[str, type] = {
    "paths": Paths,
    "transfer": Transfer,
    "torrent": Torrent,
    "mount": MountOptions,
    "watch": Watch,
    "history": History,
    "trash": Trash,
    "scrub": Scrub,
    "log": Log,
}
