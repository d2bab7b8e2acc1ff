"""How a path spells values that no component can hold. Imports query.builtin; pure.

A component has no `/`, and the kernel resolves `.` and `..` before anybody sees them. No tag needs them, so tags and
the values of users' keys are always taken as they stand. The values of the built-in keys do: a MIME type, an address.
In *their* values, in paths only, three escapes are read, those of RFC 3986:

    %2F  a slash        type:video%2Fx-matroska
    %2E  a dot          name:/has/%2E
    %25  a percent sign, needed only where one of these three would be read otherwise

Every other percent sign stands for itself: names of downloads are full of them.
"""

from __future__ import annotations

import re
from typing import Final

from query.builtin import BUILTIN_KEYS

_ESCAPE: Final = re.compile(r"%(2[EeFf5])")
_ESCAPED: Final = re.compile(r"/|%(?=2[EeFf5])")


def unescape(key: str, value: str) -> str:
    """The value that a path means by `value`."""
    if "%" not in value or key not in BUILTIN_KEYS:
        return value
    return _ESCAPE.sub(lambda found: chr(int(found[1], 16)), value)


def escape(key: str, value: str) -> str:
    """The inverse: how a path spells `value`, also as the component after `key:/`."""
    if key not in BUILTIN_KEYS:
        return value
    text = _ESCAPED.sub(lambda found: "%2F" if found[0] == "/" else "%25", value)
    return text.replace(".", "%2E") if text in (".", "..") else text
