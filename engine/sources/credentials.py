"""Logins and cookies from the user's files. Read once, at the start; these calls block for a moment."""

from __future__ import annotations

import http.cookiejar
import netrc
import warnings

from engine.errors import BadRequest
from engine.sources.urls import basic


def read_netrc(path: str | None) -> dict[str, str]:
    """host -> the value of an Authorization header. BadRequest for a file that cannot be used."""
    if path is None:
        return {}
    try:
        hosts = netrc.netrc(path).hosts
    except netrc.NetrcParseError as error:  # its text quotes the file
        raise BadRequest(f"The netrc file cannot be read: line {error.lineno} is wrong.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise BadRequest(f"The netrc file cannot be read: {_why(error)}.") from None
    return {
        host.lower(): basic(user.encode(), (password or "").encode()) for host, (user, _, password) in hosts.items()
    }


def read_cookies(path: str | None) -> list[http.cookiejar.Cookie]:
    """All cookies of a Netscape file, whatever their age. BadRequest for a file that cannot be used."""
    if path is None:
        return []
    jar = http.cookiejar.MozillaCookieJar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a line that it cannot read, with that line
            jar.load(path, ignore_discard=True, ignore_expires=True)
    except http.cookiejar.LoadError:  # an OSError whose text quotes the line
        raise BadRequest("The cookies file cannot be read: it is not in the format of Netscape.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise BadRequest(f"The cookies file cannot be read: {_why(error)}.") from None
    return list(jar)


def _why(error: OSError | UnicodeDecodeError) -> str:
    return error.strerror or "it cannot be opened" if isinstance(error, OSError) else "it is no text"
