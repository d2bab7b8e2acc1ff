"""URLs as users type and servers send them: checked, stripped of secrets, named. Pure."""

from __future__ import annotations

import os
import re
from base64 import b64encode
from typing import Final
from urllib.parse import unquote, unquote_to_bytes, urlsplit, urlunsplit

from engine.errors import BadRequest
from engine.safe_names import safe_name
from engine.types import Source, SourceKind

DEFAULT_PORTS: Final = {"http": 80, "https": 443, "ftp": 21}
MASK: Final = "***"
SHOWN: Final = 80  # characters of a text that is no URL
LOOKED_AT: Final = 1024  # characters of it that can have a say in these

_SECRET = re.compile("token|sig|key|pass|pwd|secret|auth|cred|session|jwt|ticket", re.IGNORECASE)
_PARAMETER = re.compile("(?<=[?&;#])[^?&;#]+")
_HEADER = re.compile(
    r"(header=[^:]*:|(?<![\w-])[\w-]*(?:cookie|token|key|secret|auth)[\w-]*:\s).*", re.IGNORECASE | re.DOTALL
)
_CONTROL = re.compile("[\x00-\x1f\x7f]")


def check_url(url: str) -> str:
    """`url` without surrounding blanks. BadRequest, with a sentence, for what cannot be fetched."""
    url = url.strip()
    shown = hidden(url)
    if _CONTROL.search(url):
        raise BadRequest("A URL cannot hold control characters.")
    try:
        url.encode()
    except UnicodeEncodeError as error:
        raise BadRequest(f"{shown!r} is no URL: it is not UTF-8; write such a byte as %FF.") from error
    try:
        parts = urlsplit(url)
        port = urlsplit(without_login(url)[0]).port  # a login can make a broken host look whole
    except ValueError as error:
        raise BadRequest(f"{shown!r} is not a URL: {_what_is_wrong(error)}.") from error
    if parts.scheme not in DEFAULT_PORTS:
        scheme = f"not {parts.scheme}" if parts.scheme else "and this has none"
        raise BadRequest(f"Only http://, https:// and ftp:// URLs can be downloaded, {scheme}: {shown!r}.")
    if not parts.hostname:
        raise BadRequest(f"This URL names no host: {shown!r}.")
    if port == 0:
        raise BadRequest(f"This URL names port 0, where no server can be: {shown!r}.")
    try:
        parts.hostname.encode("ascii")
    except UnicodeEncodeError:
        try:
            parts.hostname.encode("idna")
        except UnicodeError as error:
            raise BadRequest(f"The host in {shown!r} is not a host name.") from error
    return url


def _what_is_wrong(error: ValueError) -> str:
    """In our words: Python's repeat the host whole, or the password that was taken for a port."""
    said = str(error)
    if said.startswith("Port "):
        return "its port is no number from 1 to 65535"
    if "NFKC" in said:
        return "its host holds characters that are read as others"
    return "what is in brackets is no IPv6 address"


def hidden(text: str) -> str:
    """What was typed, and is perhaps no URL at all, for an error message: not long, and without secrets. Takes time
    in proportion to its length, whatever it holds."""
    login = text.rfind("@")  # the last one: passwords hold any character
    if login >= 0:
        before = text.find("//", 0, login)
        text = f"{text[: before + 2] if before >= 0 else ''}{MASK}{text[login:]}"
    shown = _PARAMETER.sub(_masked, text[:LOOKED_AT])
    shown = _HEADER.sub(rf"\1 {MASK}", shown)  # a line of a list that is not indented
    return shown if len(shown) <= SHOWN else shown[:SHOWN] + "…"


def host_of(url: str) -> str:
    """Lower case, without port."""
    return urlsplit(url).hostname or ""


def origin_of(url: str) -> tuple[str, str, int]:
    """(scheme, host, port): what a header meant for one server may be sent to."""
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port or DEFAULT_PORTS.get(parts.scheme, 0)


def source_of(url: str) -> Source:
    """The row of a checked `url`."""
    kind = SourceKind.FTP if url[:4].lower() == "ftp:" else SourceKind.HTTP
    return Source(kind, url, public_url(url), host_of(url))


def public_url(url: str) -> str:
    """`url` without userinfo and fragment, and with the values of parameters that are named like secrets masked: fit
    for status lines, logs and `user.xdg.origin.url`."""
    parts = urlsplit(url)
    bare = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, parts.query, ""))
    return _PARAMETER.sub(_masked, bare)


def _masked(found: re.Match[str]) -> str:
    name, equals, _ = found[0].partition("=")
    return f"{name}={MASK}" if equals and _SECRET.search(unquote(name)) else found[0]


def without_login(url: str) -> tuple[str, str | None]:
    """`url` without userinfo and fragment, and the value of an Authorization header for the userinfo it had."""
    parts = urlsplit(url)
    bare = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, parts.query, ""))
    if parts.username is None and parts.password is None:
        return bare, None
    return bare, basic(unquote_to_bytes(parts.username or ""), unquote_to_bytes(parts.password or ""))


def basic(user: bytes, password: bytes) -> str:
    """The value of an Authorization header, RFC 7617."""
    return "Basic " + b64encode(user + b":" + password).decode("ascii")


def name_of(url: str) -> str:
    """A safe file name: the last segment of the path, percent-decoded; the host where the path ends with a slash."""
    parts = urlsplit(url)
    segment = os.fsdecode(unquote_to_bytes(parts.path.rpartition("/")[2]))
    return safe_name(segment, safe_name(parts.hostname or ""))
