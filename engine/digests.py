"""Digests as users and servers name them. Pure; imports errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from engine.errors import BadRequest

HEX_LENGTHS: Final[Mapping[str, int]] = {"md5": 32, "sha1": 40, "sha256": 64, "sha384": 96, "sha512": 128}


def check_digests(digests: Mapping[str, str]) -> dict[str, str]:
    """`digests` in lower case. BadRequest for an unknown algorithm or what is no digest of it."""
    checked = {}
    for algorithm, digest in digests.items():
        name, value = algorithm.lower().replace("-", ""), digest.lower()
        if name not in HEX_LENGTHS:
            raise BadRequest(f"{algorithm!r} is not a digest known here: use one of {', '.join(HEX_LENGTHS)}.")
        if len(value) != HEX_LENGTHS[name] or not set(value) <= set("0123456789abcdef"):
            raise BadRequest(f"A {name} digest is {HEX_LENGTHS[name]} hexadecimal digits, this is not: {digest!r}.")
        checked[name] = value
    return checked
