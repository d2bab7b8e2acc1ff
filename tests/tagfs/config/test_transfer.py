"""The keys of [transfer] reach the engine, and say its defaults."""

from dataclasses import fields, replace

import pytest

from engine.sources.config import HttpConfig
from engine.transfer.config import TransferConfig
from tagfs.config.settings import Transfer
from tagfs.config.transfer import transfer_config


def flat(config: TransferConfig) -> dict[str, object]:
    own = {field.name: getattr(config, field.name) for field in fields(TransferConfig) if field.name != "http"}
    return own | {field.name: getattr(config.http, field.name) for field in fields(HttpConfig)}


def test_documented_defaults_are_those_of_the_engine() -> None:
    assert flat(transfer_config(Transfer())) == flat(TransferConfig())


@pytest.mark.parametrize(
    "key", [field.name for field in fields(Transfer) if field.name not in ("read_patience", "onlookers")]
)
def test_each_key_reaches_the_engine_under_its_own_name(key: str) -> None:
    marked = object()
    assert flat(transfer_config(replace(Transfer(), **{key: marked})))[key] is marked
