"""Where a redirect may lead, and what may be taken along. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final
from urllib.parse import urldefrag, urljoin

from engine.errors import BadRequest
from engine.sources.stream import Fault, FetchFailed
from engine.sources.urls import check_url, host_of, origin_of, public_url, without_login

REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})


@dataclass(frozen=True, slots=True)
class Hop:
    """One request of a chain. `headers` (with the login) are meant for the origin of `url` alone."""

    url: str  # without userinfo
    headers: Mapping[str, str] = field(default_factory=dict)
    public_only: bool = False  # refuse to connect to a private address


def first_hop(url: str, headers: Mapping[str, str], *, public_only: bool = False) -> Hop:
    """The request that begins a chain: for what the user typed any address, own headers, login of the URL."""
    bare, login = without_login(url)
    return Hop(bare, {**headers, "Authorization": login} if login else headers, public_only)


def follow(hop: Hop, location: str, *, from_public: bool, allow_downgrade: bool, allow_private: bool) -> Hop:
    """The next request. FetchFailed for one that is not made: another scheme, https to http.

    Headers and login stay behind when scheme, host or port change. A chain that came through a public address may not
    go to a private one, unless `allow_private`. A login in the location is a stranger's: it is not used.
    """
    shown = public_url(hop.url)
    try:
        url = check_url(urldefrag(_joined(hop.url, location)).url)
        if origin_of(url)[0] not in ("http", "https"):
            raise BadRequest("it is no http:// or https:// URL.")
    except BadRequest as error:
        raise FetchFailed(f"{shown} redirects to what cannot be fetched: {error}", Fault.FINAL) from error
    url, _ = without_login(url)
    if (origin_of(hop.url)[0], origin_of(url)[0]) == ("https", "http") and not allow_downgrade:
        raise FetchFailed(f"{shown} redirects from https to http on {host_of(url)}, which is refused.", Fault.FINAL)
    moved = replace(hop, url=url, public_only=(hop.public_only or from_public) and not allow_private)
    return moved if origin_of(url) == origin_of(hop.url) else replace(moved, headers={})


def _joined(base: str, location: str) -> str:
    try:
        return urljoin(base, location)
    except ValueError:
        return check_url(location)  # says what is wrong with it
