"""What is fuzzed: each reader with its errors, with inputs to begin from and words to put in between."""

from __future__ import annotations

import json
import plistlib
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from engine.errors import EngineError
from engine.sources.stream import FetchFailed
from query.errors import QueryError
from tagfs.control.errors import WireError
from tests.fuzz import readers
from tests.support.torrents import bencode

LIMIT: Final = 1 << 16  # bytes of an input
REFUSALS: Final = (EngineError, FetchFailed, QueryError, WireError, OSError)


class Target(NamedTuple):
    """Called with any bytes, it refuses them by one line for a person, or takes them. Anything else is a find."""

    read: Callable[[bytes], object]
    seeds: tuple[bytes, ...]
    words: tuple[bytes, ...]

    def __call__(self, data: bytes) -> None:
        try:
            self.read(data)
        except REFUSALS as error:
            text = str(error)
            assert text, error
            assert not any(character in text for character in "\n\r\x1b"), text
            assert len(text) < 1000, text


def _lines(*values: Any) -> bytes:
    return b"".join(json.dumps(value).encode() + b"\n" for value in values)


def _request(method: str, **params: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}


_INFO: Final = {b"name": b"n", b"piece length": 16384, b"pieces": b"x" * 20, b"length": 5}
_FILES: Final = {
    b"name": b"n", b"piece length": 16384, b"pieces": b"x" * 20,
    b"files": [{b"length": 3, b"path": [b"a", b"b"]}, {b"length": 2, b"path": [b".."], b"attr": b"p"}],
}  # fmt: skip
_V2: Final = {
    b"name": b"n", b"piece length": 16384, b"meta version": 2,
    b"file tree": {b"a": {b"": {b"length": 3, b"pieces root": b"y" * 32}}},
}  # fmt: skip
_METALINK: Final = b"""<?xml version="1.0"?><metalink xmlns="urn:ietf:params:xml:ns:metalink"><file name="a.iso">
<size>10</size><hash type="sha-256">e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855</hash>
<pieces length="5" type="sha-1"><hash>da39a3ee5e6b4b0d3255bfef95601890afd80709</hash></pieces>
<url location="de" priority="1">http://example.org/a</url><metaurl mediatype="torrent">http://e.org/t</metaurl>
</file></metalink>"""
_MAGNET: Final = b"magnet:?xt=urn:btih:" + b"a" * 40 + b"&dn=n&tr=http://t/a&x.pe=1.2.3.4:5&so=0-2&ws=http://w/"
# Put into the input of each target.
WORDS: Final = (b"\0", b"\n", b" ", b"\xff", b"\xe2\x80\xae", b"\x1b[2J", b"..", b"/", b'"', b"'")
_XML: Final = (b"<file ", b"</file>", b"<url>", b"<hash type='md5'>", b"<!ENTITY a 'b'>", b"&a;", b"<size>-1</size>")

TARGETS: Final[dict[str, Target]] = {
    "expression": Target(
        readers.expression,
        (b"movie and (year>=2000 or not 'a b') and size:1M..2G", b"title has x @@", b"a or b and not not c"),
        (b" and ", b" or ", b"not ", b"(", b")", b"year", b">=", b"!=", b"..", b" has ", b"@", b"@@", b"\\x41", b"~"),
    ),
    "path": Target(
        readers.path,
        (b"movie/+/1080p/@", b"year:/gt/2000/-watched/@@", b"a/x:1..2/-c/@", b"title:/has/d/+/~x"),
        (b"/+/", b"/-", b"@", b"@@", b"year:", b"/gt/", b"/lt/", b"/has/", b"{", b"}", b",", b"..", b"\\"),
    ),
    "tag_list": Target(readers.tag_list, (b"a,b,year:2000", b"+a,-b"), (b",", b"+", b"-", b":", b"~", b"@")),
    "terminal": Target(readers.terminal, (b"\x1b]0;x\x07\xe2\x80\xae\\x41",), (b"\xc2\x9b", b"\\", b"\xed\xa0\x80")),
    "links": Target(
        readers.dropped("a.txt"),
        (b"http://example.org/a\n# no\nftp://e/b\n" + _MAGNET, b"http://a/b\thttp://c/d\n out=x\n checksum=md5=0\n"),
        (b"http://", b" out=", b" checksum=sha-256=", b" header=", b" split=", b"\t", b"\r\n", b"\xef\xbb\xbf"),
    ),
    "metalink": Target(readers.dropped("a.meta4"), (_METALINK,), _XML),
    "url_file": Target(
        readers.dropped("a.url"), (b"[InternetShortcut]\r\nURL=http://e/\r\n",), (b"[", b"]", b"URL=", b"%", b"=", b":")
    ),
    "desktop": Target(
        readers.dropped("a.desktop"), (b"[Desktop Entry]\nType=Link\nURL=http://e/\n",), (b"[", b"]", b"URL[x]=", b"=")
    ),
    "webloc": Target(
        readers.dropped("a.webloc"),
        tuple(plistlib.dumps({"URL": "http://e/"}, fmt=kind) for kind in plistlib.PlistFormat),
        (b"<dict>", b"<key>", b"<array>", b"<date>", b"<integer>", b"bplist00"),
    ),
    "magnet": Target(
        readers.magnet,
        (_MAGNET, b"magnet:?xt=urn:btmh:1220" + b"b" * 64),
        (b"&xt=urn:btih:", b"&so=", b"&x.pe=", b"%", b"&dn="),
    ),
    "torrent": Target(
        readers.torrent,
        tuple(bencode({b"announce": b"http://t/", b"info": info}) for info in (_INFO, _FILES, _V2)),
        (b"d", b"e", b"l", b"i-1e", b"i0e", b"4:path", b"10:name.utf-8", b"4:attr", b"1:l", b"i9223372036854775807e"),
    ),
    "torrent_paths": Target(
        readers.torrent_paths, (b"a/b\na/B\n../c\na\n" + b"x" * 300,), (b"/", b"\n", b".", b"_", b" (1)")
    ),
    "disposition": Target(
        readers.disposition,
        (b"attachment; filename=\"a b.txt\"; filename*=UTF-8''%e2%82%ac.txt", b"filename*0*=utf-8''a; filename*1=b"),
        (b"filename", b"*", b"=", b";", b"''", b"%2e%2e%2f", b"=?utf-8?b?", b"?=", b"\\"),
    ),
    "headers": Target(
        readers.headers,
        (
            b'content-length: 5\ncontent-range: bytes 0-4/5\netag: "a"\nretry-after: 120',
            b"last-modified: Sun, 06 Nov 1994 08:49:37 GMT\ndigest: md5=47DEQpj8HBSa+/TImW+5JA==",
            b"link: <http://m/a>; rel=duplicate; pri=1; geo=de, <a>; rel=describedby; type=application/metalink4+xml",
        ),
        (b"content-digest: sha-256=:", b"repr-digest: ", b"content-encoding: gzip", b"bytes */", b"-", b"GMT", b"rel="),
    ),
    "redirect": Target(
        readers.redirect,
        (b"//example.org/x", b"https://user:pw@[::1]:443/%2e", b"../x", b"http://127.0.0.1/", b"file:///etc/passwd"),
        (b"https://", b"http://", b"@", b":", b"[", b"]", b"\\", b"#", b"?", b"%00", b"example.org"),
    ),
    "control": Target(
        readers.control,
        (
            _lines(_request("ls", query="movie", limit=3), _request("tag", items=[4096], add=["a"])),
            _lines(_request("add", urls=["http://e/"], tags=["a"]), _request("status"), _request("nothing")),
        ),
        (
            b'{"jsonrpc":"2.0","id":1,"method":"',
            b'"params":',
            b"null",
            b"true",
            b"-1",
            b"1e999",
            b"[]",
            b"{}",
            b'"\\ud8"',
        ),
    ),
    "control_reply": Target(
        readers.control_reply,
        (
            b'{"jsonrpc":"2.0","id":1,"result":{}}',
            b'{"jsonrpc":"2.0","id":1,"error":{"code":2,"message":"x","data":null}}',
            b'{"jsonrpc":"2.0","method":"progress","params":{"id":1,"value":2}}',
        ),
        (b"null", b"[]", b"{}", b"1e999", b"true", b'"id":'),
    ),
    "exported": Target(
        readers.exported,
        (
            _lines({"tag": "a"}, {"relation": ["a", "implies", "b"]}, {"query": "q", "text": "a or b", "added_ns": 1}),
            _lines(
                {
                    "item": 1,
                    "name": "x",
                    "kind": "file",
                    "state": "complete",
                    "size": 1,
                    "sha256": "0" * 64,
                    "tags": ["a"],
                    "xattrs": {"user.x": "YQ=="},
                    "sources": [{"kind": "http", "url": "http://e/", "host": "e"}],
                }
            ),
        ),
        (b"null", b"[]", b"{}", b"true", b"1e999", b"9223372036854775808", b'"xattrs":', b'"sources":', b'"parent":'),
    ),
}
