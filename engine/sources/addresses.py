"""Which addresses a stranger may send us to. Pure.

A server on the internet that answers with a redirect to 127.0.0.1, 169.254.169.254 or 10.0.0.1 wants this machine to
talk to its own neighbourhood (faults.md, S3). What the user typed may be anything.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Final

# Names that are of one network alone (RFC 6761, 6762, 8375, and what routers call their clients).
_LOCAL: Final = (".local", ".localhost", ".internal", ".lan", ".home.arpa", ".localdomain")
_NAT64: Final = IPv6Network("64:ff9b::/96")  # RFC 6052: an IPv4 address in the last 32 bits


def is_public(address: str) -> bool:
    """Whether `address` (text of an IP address, a zone is allowed) belongs to the internet at large.

    IPv4 addresses inside IPv6 ones (mapped, 6to4, Teredo, NAT64) are judged as what they carry. False for what is no
    address.
    """
    try:
        ip = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(ip, IPv6Address):
        carried = _carried(ip)
        if carried is not None:
            return _is_global(carried)
    return _is_global(ip)


def may_be_public(host: str) -> bool:
    """Whether a host (a name, or an address in any spelling) that somebody else will look up can be of the internet at
    large. A proxy and libtorrent look names up themselves: what a name leads to they alone know. Refused are private
    addresses, addresses in spellings that resolvers read differently (127.1, 0x7f.1, 2130706433, 0177.0.0.1), names
    without a dot, which are of this network, and those below `_LOCAL`.
    """
    host = host.strip("[]").rstrip(".").lower()
    if ":" in host or _is_dotted_quad(host):
        return is_public(host)
    last = host.rpartition(".")[2]  # no name of the internet ends in a label that begins with a digit
    return "." in host and "%" not in host and not host.endswith(_LOCAL) and not last[:1].isdigit()


def _is_dotted_quad(host: str) -> bool:
    try:
        return bool(IPv4Address(host))
    except ValueError:
        return False


def _carried(ip: IPv6Address) -> IPv4Address | None:
    if ip in _NAT64:
        return IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)


def _is_global(ip: IPv4Address | IPv6Address) -> bool:
    local = isinstance(ip, IPv6Address) and ip.is_site_local  # which is_global does not know
    return ip.is_global and not (ip.is_multicast or ip.is_reserved or local)
