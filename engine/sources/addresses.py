"""Which addresses a stranger may send us to. Pure.

A server on the internet that answers with a redirect to 127.0.0.1, 169.254.169.254 or 10.0.0.1 wants this machine to
talk to its own neighbourhood (faults.md, S3). What the user typed may be anything.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Final

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


def _carried(ip: IPv6Address) -> IPv4Address | None:
    if ip in _NAT64:
        return IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)


def _is_global(ip: IPv4Address | IPv6Address) -> bool:
    local = isinstance(ip, IPv6Address) and ip.is_site_local  # which is_global does not know
    return ip.is_global and not (ip.is_multicast or ip.is_reserved or local)
