"""The cookies of one chain of redirects: those of the user's file, and what servers set on the way. On the trio thread.

http.cookiejar decides which cookie goes where (RFC 6265 as Python has it); it wants requests and responses in the shape
of urllib's, which are made for it only where there is a cookie at all.
"""

from __future__ import annotations

import email.message
import http.cookiejar
import urllib.request
from collections.abc import Sequence
from typing import Any, cast


class Cookies:
    """Begins with `given`."""

    def __init__(self, given: Sequence[http.cookiejar.Cookie]) -> None:
        self._given = given
        self._jar: http.cookiejar.CookieJar | None = None

    def header(self, url: str) -> str | None:
        """The value of the Cookie header for a request of `url`, if it gets one."""
        if self._jar is None and not self._given:
            return None
        request = urllib.request.Request(url)  # noqa: S310 -- carried to the jar, never opened
        self._filled().add_cookie_header(request)
        return request.get_header("Cookie")

    def take(self, url: str, fields: Sequence[tuple[bytes, bytes]]) -> None:
        """Keep what a response sets."""
        found = [value for name, value in fields if name.lower() == b"set-cookie"]
        if found:
            request = urllib.request.Request(url)  # noqa: S310 -- likewise
            self._filled().extract_cookies(cast("Any", _Answer(found)), request)

    def _filled(self) -> http.cookiejar.CookieJar:
        if self._jar is None:
            self._jar = http.cookiejar.CookieJar()
            for cookie in self._given:
                self._jar.set_cookie(cookie)
        return self._jar


class _Answer:
    """As much of urllib's response as the jar looks at."""

    def __init__(self, found: Sequence[bytes]) -> None:
        self._message = email.message.Message()
        for value in found:
            self._message["Set-Cookie"] = value.decode("latin-1")

    def info(self) -> email.message.Message:
        return self._message
