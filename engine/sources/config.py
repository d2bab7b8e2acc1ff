"""How this client presents itself to HTTP servers, and how long it waits for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class HttpConfig:
    """Settings of every HTTP request. Times are seconds. The environment (`http_proxy` and the like) is not read."""

    user_agent: str = "tagfs/0.1"
    headers: Mapping[str, str] = field(default_factory=dict)  # sent to every server
    # By origin (`https://h`, `http://h:81`; `h` is https://h): sent there alone, and only where the user's URL leads.
    host_headers: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    proxy: str | None = None  # http://, https://, socks5:// or socks5h:// URL, with userinfo if need be
    netrc: str | None = None  # a file of logins, used for hosts whose URL holds none
    cookies: str | None = None  # a Netscape cookies file, read at the start and never written
    ca_file: str | None = None  # further certificate authorities, PEM; verification is never off
    connect_timeout: float = 15.0  # for name, TCP and TLS
    header_timeout: float = 30.0  # for the whole head of a response, however slowly it drips
    read_timeout: float = 30.0  # between two pieces of a body
    max_redirects: int = 10
    max_headers: int = 200  # of one response
    private_redirects: bool = False  # follow a redirect from a public address to a private one
