"""A few hundred damaged inputs a target, the same in each run; `make fuzz` tries millions."""

from __future__ import annotations

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.targets import LIMIT, TARGETS, WORDS, Target

EXAMPLES = int(os.environ.get("TAGFS_EXAMPLES", "60"))


@st.composite
def damaged(draw: st.DrawFn, target: Target) -> bytes:
    """A seed with bytes overwritten, spans cut out or said twice, and words put in."""
    data = bytearray(draw(st.sampled_from(target.seeds)))
    for _ in range(draw(st.integers(0, 8))):
        start = draw(st.integers(0, len(data)))
        end = draw(st.integers(start, min(len(data), start + 16)))
        piece = draw(
            st.sampled_from(target.words + WORDS)
            | st.binary(max_size=4)
            | st.just(b"")
            | st.just(bytes(data[start:end]) * 2)
        )
        data[start:end] = piece
    return bytes(data)


@pytest.mark.parametrize("name", TARGETS)
def test_nothing_fails_on_what_a_stranger_wrote(name: str) -> None:
    target = TARGETS[name]

    @settings(max_examples=EXAMPLES)
    @given(damaged(target) | st.binary(max_size=LIMIT // 256))
    def run(data: bytes) -> None:
        target(data)

    for seed in target.seeds:
        target(seed)
    run()
