"""Downloads over FTP, from begin to end."""

import os

import pytest

from engine.types import SourceKind, State
from tests.support.ftp import ftp_server
from tests.support.transfers import rig

CONTENT = os.urandom(6_000_000)


@pytest.fixture
def served(tmp_path):
    folder = tmp_path / "served"
    folder.mkdir()
    (folder / "x.bin").write_bytes(CONTENT)
    os.utime(folder / "x.bin", (10**9, 10**9))
    return folder


async def test_a_file_arrives_with_its_time_and_source(served, tmp_path):
    with ftp_server(served) as server:
        async with rig(tmp_path / "state") as here:
            item = await here.until(await here.add(server.url("x.bin", "me:p%3Aw@")))
            assert here.content(item) == CONTENT
            assert (item.name, item.mtime_ns) == ("x.bin", 10**18)
            [source] = here.catalogue.sources(item.id)
            assert (source.kind, source.public_url) == (SourceKind.FTP, server.url("x.bin"))


async def test_a_cut_is_gone_on_with_also_after_a_restart(served, tmp_path):
    with ftp_server(served, cut_at=[2_000_000, 1_000_000]) as server:
        async with rig(tmp_path / "state", split=1, backoff_first=3600.0, backoff_max=3600.0) as here:
            item = await here.add(server.url("x.bin"))
            await here.when(item, lambda found: found.state is State.QUEUED and found.error is not None)
            assert here.manager.progress(item.id).done == 2_000_000
        async with rig(tmp_path / "state", split=1, backoff_first=0.01) as here:
            await here.manager.resume(item.id)
            await here.until(item, State.COMPLETE)
            assert here.content(item) == CONTENT
        assert [command.partition(" ")[2] for command in server.started("REST")] == [
            str(2_000_000 - 4096), str(2_000_000 - 4096 + 1_000_000 - 4096),
        ]  # fmt: skip


async def test_a_reader_at_the_end_does_not_wait_for_the_rest(served, tmp_path):
    with ftp_server(served) as server:
        async with rig(tmp_path / "state", split=1) as here:
            item = await here.add(server.url("x.bin"), options={"max-download": "200000"})
            assert await here.read(item, len(CONTENT) - 100, 100) == CONTENT[-100:]
            assert here.item(item).state is State.DOWNLOADING
            assert server.started("REST")


async def test_what_is_not_there_fails_with_a_sentence(served, tmp_path):
    with ftp_server(served) as server:
        async with rig(tmp_path / "state") as here:
            item = await here.until(await here.add(server.url("missing")))
            assert (item.state, item.error) == (
                State.FAILED, "127.0.0.1 has no such file, or does not give it (550).",
            )  # fmt: skip
