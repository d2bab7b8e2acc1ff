"""Logins and cookies from the user's files. Read once, at the start; these calls block for a moment."""

from __future__ import annotations

import http.cookiejar
import netrc

from engine.errors import BadRequest
from engine.sources.urls import basic


def read_netrc(path: str | None) -> dict[str, str]:
    """host -> the value of an Authorization header. BadRequest for a file that cannot be used."""
    if path is None:
        return {}
    try:
        hosts = netrc.netrc(path).hosts
    except (OSError, netrc.NetrcParseError, UnicodeDecodeError) as error:
        raise BadRequest(f"The netrc file cannot be read: {error}.") from error
    return {
        host.lower(): basic(user.encode(), (password or "").encode()) for host, (user, _, password) in hosts.items()
    }


def read_cookies(path: str | None) -> list[http.cookiejar.Cookie]:
    """All cookies of a Netscape file, whatever their age. BadRequest for a file that cannot be used."""
    if path is None:
        return []
    jar = http.cookiejar.MozillaCookieJar()
    try:
        jar.load(path, ignore_discard=True, ignore_expires=True)
    except (OSError, http.cookiejar.LoadError, UnicodeDecodeError) as error:
        raise BadRequest(f"The cookies file cannot be read: {error}.") from error
    return list(jar)
