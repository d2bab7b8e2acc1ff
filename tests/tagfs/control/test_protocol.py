"""Lines and messages: whatever comes in is a message or one clean error."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagfs.control.errors import Code, WireError
from tagfs.control.protocol import (
    Failure,
    LineBuffer,
    Progress,
    Request,
    Result,
    decode_reply,
    decode_request,
    encode_reply,
    encode_request,
)

TEXT = st.text(max_size=20) | st.binary(max_size=20).map(lambda raw: raw.decode(errors="surrogateescape"))
IDS = st.integers(-(2**62), 2**62) | TEXT
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**62), 2**62) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


@given(st.builds(Request, id=IDS, method=TEXT, params=st.dictionaries(TEXT, VALUES, max_size=3)))
def test_a_request_survives(request: Request) -> None:
    line = encode_request(request)
    assert line.endswith(b"\n") and line.count(b"\n") == 1
    assert decode_request(line[:-1]) == request


@given(st.builds(Result, IDS, VALUES) | st.builds(Progress, IDS, VALUES) | st.builds(Failure, IDS, st.just(2), TEXT))
def test_a_reply_survives(reply: Result | Progress | Failure) -> None:
    line = encode_reply(reply)
    assert line.endswith(b"\n") and line.count(b"\n") == 1
    assert decode_reply(line[:-1]) == reply


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"", Code.PARSE),
        (b"{", Code.PARSE),
        (b"\xff", Code.PARSE),
        (b'{"id":NaN}', Code.PARSE),
        (b'{"id":' + b"9" * 5000 + b"}", Code.PARSE),
        (b"[" * 200_000, Code.PARSE),
        (b"[]", Code.INVALID_REQUEST),
        (b"1", Code.INVALID_REQUEST),
        (b"{}", Code.INVALID_REQUEST),
        (b'{"jsonrpc":"2.0","method":"ls"}', Code.INVALID_REQUEST),
        (b'{"jsonrpc":"2.0","method":"ls","id":true}', Code.INVALID_REQUEST),
        (b'{"jsonrpc":"1.0","method":"ls","id":1}', Code.INVALID_REQUEST),
        (b'{"jsonrpc":"2.0","method":7,"id":1}', Code.INVALID_REQUEST),
        (b'{"jsonrpc":"2.0","method":"ls","id":1,"params":[1]}', Code.INVALID_PARAMS),
    ],
)
def test_what_is_no_request_has_the_code_of_json_rpc(line: bytes, code: Code) -> None:
    with pytest.raises(WireError) as caught:
        decode_request(line)
    assert caught.value.code is code


@given(st.binary(max_size=100) | VALUES.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_a_message_or_a_wire_error(line: bytes) -> None:
    for decode in (decode_request, decode_reply):
        try:
            decode(line)
        except WireError as error:
            assert error.message.endswith(".")


@given(st.lists(st.binary(max_size=20).filter(lambda line: b"\n" not in line)), st.integers(1, 50))
def test_lines_do_not_depend_on_how_the_stream_was_cut(lines: list[bytes], size: int) -> None:
    stream = b"".join(line + b"\n" for line in lines) + b"rest"
    buffer = LineBuffer(64)
    cut = [line for at in range(0, len(stream), size) for line in buffer.feed(stream[at : at + size])]
    assert cut == lines


@given(st.integers(1, 100), st.integers(60, 200))
def test_a_line_that_is_too_long_is_refused_with_or_without_its_end(size: int, length: int) -> None:
    stream = b"x" * length + b"\n"
    buffer = LineBuffer(64)
    cut: list[bytes] = []
    try:
        for at in range(0, len(stream), size):
            cut += buffer.feed(stream[at : at + size])
    except WireError as error:
        assert length >= 64 and error.code is Code.PARSE
    else:
        assert length < 64 and cut == [b"x" * length]
