r"""Text from outside made safe for terminals and logs. Pure; imports nothing of tagfs. Any thread.

Servers and other users choose file names, and a terminal obeys what it is sent (threat S8): no control character, no
character that turns the direction of text, and no byte that is not UTF-8 gets through. The spelling can be read back:

    ESC  -> \x1b     U+009B -> \u009b     U+202E -> \u202e     byte 0xff (as U+DCFF) -> \xff     \  -> \\
"""

from __future__ import annotations

import re

# C0, backslash, DEL, C1; Arabic letter mark; marks, embeddings, overrides and isolates of direction; line and paragraph
# separators; surrogates (of which U+DC80..U+DCFF are the bytes that os.fsdecode could not decode); language tags.
_UNSAFE = re.compile(
    "[\x00-\x1f\\\\\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff\U000e0000-\U000e007f]"
)

# What `repr` makes of such a byte; after an even number of backslashes, for two of them are one that is in the name.
_QUOTED = re.compile(r"(?<!\\)((?:\\\\)*)\\udc([89a-f][0-9a-f])")


def escape(text: str) -> str:
    """`text` on one line, without anything that a terminal acts upon."""
    return _UNSAFE.sub(_spell, text)


def tame(text: str) -> str:
    """The same for a sentence of ours with names in it, some escaped already: backslashes stay as they are. A byte that
    is not UTF-8 is spelled as everywhere else also where `repr` has quoted the name."""
    safe = _UNSAFE.sub(lambda match: match[0] if match[0] == "\\" else _spell(match), text)
    return _QUOTED.sub(r"\1\\x\2", safe) if "\\udc" in safe else safe


def _spell(match: re.Match[str]) -> str:
    code = ord(match[0])
    if match[0] == "\\":
        return "\\\\"
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
