"""Downloads from begin to end: content, names, times, digests, options, known content."""

import base64
import hashlib
import os

import pytest

from engine.errors import BadRequest
from engine.ports import Edit
from engine.types import SourceKind, State
from tests.support.faultserver import Resource, fault_server, respond
from tests.support.transfers import rig


@pytest.fixture
async def server():
    async with fault_server() as server:
        yield server


@pytest.mark.parametrize("size", [0, 1, 100_000, 20_000_000])
@pytest.mark.parametrize("framing", [{}, {"chunked": True}, {"close": True}])
async def test_what_the_server_has_is_what_we_get(server, tmp_path, size, framing):
    content = os.urandom(size)
    url = server.add("/a/file.bin", Resource(content, **framing))
    async with rig(tmp_path) as here:
        item = await here.add(url, tags=["x"])
        assert (item.name, item.state) == ("file.bin", State.QUEUED)
        done = await here.until(item)
        assert here.content(item) == content
        assert done.size == size
        assert done.error is None
        assert here.manager.progress(item.id) is None
        assert here.manager.reader(item.id) is None
        assert here.staged == []
        assert here.catalogue.tags(item.id) == ("x",)
        assert await here.catalogue.downloads() == []
        assert len(server.requests) == 1
        assert ("user.tagfs.unverified" in here.catalogue.xattrs(item.id)) == ("close" in framing)


async def test_strangers_may_not_send_us_into_private_networks(server, tmp_path):
    url = server.add("/x", Resource(b"content"))
    async with rig(tmp_path / "strict") as here:
        item = await here.until(await here.add(url, options={"public-only": "yes", "header.X": "secret"}))
        assert (item.state, server.requests) == (State.FAILED, [])
        assert "private address, to which no redirect and no Metalink may lead" in item.error
        assert (await here.until(await here.add(url, options={"public-only": "no"}))).state is State.COMPLETE
    server.requests.clear()
    async with rig(tmp_path / "trusting", http={"private_redirects": True}) as here:
        assert (await here.until(await here.add(url, options={"public-only": "yes"}))).state is State.COMPLETE


async def test_small_files_share_a_connection(server, tmp_path):
    urls = [server.add(f"/{n}", Resource(b"x" * 1000)) for n in range(10)]
    opened = []
    serve = server.serve

    async def counting(stream):
        opened.append(stream)
        await serve(stream)

    server.serve = counting
    async with rig(tmp_path, max_active=1) as here:
        for item in [await here.add(url) for url in urls]:
            await here.until(item)
    assert len(opened) == 1


@pytest.mark.parametrize(
    ("path", "headers", "name"),
    [
        ("/d/b.iso?x=/y", {}, "b.iso"),
        ("/get.php", {"Content-Disposition": 'attachment; filename="b c.iso"'}, "b c.iso"),
        ("/get.php", {"Content-Disposition": "attachment; filename*=UTF-8''%c5%bd.iso"}, "Ž.iso"),
        ("/get.php", {"Content-Disposition": 'attachment; filename="../../x"'}, "x"),
        ("/caf%E9", {}, "caf\udce9"),
        ("/", {}, "127.0.0.1"),
    ],
)
async def test_names(server, tmp_path, path, headers, name):
    url = server.add(path.partition("?")[0], Resource(b"x", headers=headers)) + "?" + path.partition("?")[2]
    async with rig(tmp_path) as here:
        item = await here.add(url)
        assert (await here.until(item)).name == name


async def test_the_name_behind_a_redirect(server, tmp_path):
    async def handler(request, stream):
        await respond(stream, 302, {"Location": "/real-name.iso"}, b"")

    server.add("/real-name.iso", Resource(b"x"))
    async with rig(tmp_path) as here:
        item = await here.add(server.add("/latest", handler))
        assert item.name == "latest"
        assert (await here.until(item)).name == "real-name.iso"


async def test_a_name_that_the_user_gave_or_changed_stays(server, tmp_path):
    resource = Resource(b"x" * 100_000, headers={"Content-Disposition": "attachment; filename=theirs"}, hold_at=50_000)
    url = server.add("/x", resource)
    async with rig(tmp_path, run=False) as here:
        given = await here.add(url, name="mine")
        renamed = await here.add(url)
        await here.catalogue.edit(renamed.id, Edit(name="renamed"))
        async with here.running():
            resource.release.set()
            assert (await here.until(given)).name == "mine"
            assert (await here.until(renamed)).name == "renamed"


@pytest.mark.parametrize("name", ["", "a/b", "..", "x" * 256, "a\nb"])
async def test_names_that_no_file_can_have(server, tmp_path, name):
    async with rig(tmp_path) as here:
        with pytest.raises(BadRequest):
            await here.add(server.url("/x"), name=name)


async def test_last_modified_is_kept_unless_the_user_said_otherwise(server, tmp_path):
    resource = Resource(b"x" * 100_000, last_modified="Sun, 06 Nov 1994 08:49:37 GMT", hold_at=50_000)
    async with rig(tmp_path) as here:
        item = await here.add(server.add("/x", resource))
        await resource.held.wait()
        await here.when(item, lambda found: found.mtime_ns == 784111777 * 10**9)
        other = await here.add(server.url("/x"), paused=True)
        await here.catalogue.edit(other.id, Edit(mtime_ns=5))
        await here.manager.resume(other.id)
        resource.release.set()
        assert (await here.until(item)).mtime_ns == 784111777 * 10**9
        assert (await here.until(other)).mtime_ns == 5


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def b64(name, content):
    return base64.b64encode(hashlib.new(name, content).digest()).decode()


@pytest.mark.parametrize("algorithm", ["md5", "sha1", "sha256", "sha512"])
async def test_a_promised_digest_is_checked(server, tmp_path, algorithm):
    url = server.add("/x", Resource(b"content"))
    async with rig(tmp_path) as here:
        good = await here.add(url, digests={algorithm: hashlib.new(algorithm, b"content").hexdigest()})
        assert (await here.until(good)).state is State.COMPLETE
        bad = await here.add(url, digests={algorithm: hashlib.new(algorithm, b"other").hexdigest()})
        failed = await here.until(bad)
        assert failed.state is State.FAILED
        assert "promised" in failed.error
        assert len(server.requests) == 3  # the bad one was tried twice


@pytest.mark.parametrize(
    "headers",
    [
        {"Repr-Digest": f"sha-256=:{b64('sha256', b'other')}:"},
        {"Content-Digest": f"sha-512=:{b64('sha512', b'other')}:"},
        {"Digest": f"SHA-256={b64('sha256', b'other')}"},
        {"Content-MD5": b64("md5", b"other")},
    ],
)
async def test_a_digest_that_the_server_promises_is_checked(server, tmp_path, headers):
    async with rig(tmp_path) as here:
        item = await here.add(server.add("/x", Resource(b"content", headers=headers)))
        assert (await here.until(item)).state is State.FAILED
        good = {name: value.replace(b64("sha256", b"other"), b64("sha256", b"content"))
                .replace(b64("sha512", b"other"), b64("sha512", b"content"))
                .replace(b64("md5", b"other"), b64("md5", b"content")) for name, value in headers.items()}  # fmt: skip
        item = await here.add(server.add("/y", Resource(b"content", headers=good)))
        assert here.content(await here.until(item)) == b"content"


async def test_content_that_is_here_is_not_fetched(server, tmp_path):
    content = os.urandom(1_000_000)
    url = server.add("/x", Resource(content))
    async with rig(tmp_path) as here:
        await here.until(await here.add(url))
        count = len(server.requests)
        again = await here.add(url, digests={"sha256": sha256(content)}, name="again", tags=["t"])
        assert (again.state, again.name, again.sha256) == (State.COMPLETE, "again", sha256(content))
        assert len(server.requests) == count
        promised = server.add("/y", Resource(content, headers={"Repr-Digest": f"sha-256=:{b64('sha256', content)}:"}))
        assert here.content(await here.until(await here.add(promised))) == content
        assert here.staged == []


async def test_content_that_is_here_under_a_digest_that_nobody_asked_for_before(server, tmp_path):
    """The server never sends more than a part of it."""
    content = os.urandom(3_000_000)
    async with rig(tmp_path) as here:
        await here.until(await here.add(server.add("/x", Resource(content))))
        url = server.add("/y", Resource(content, etag='"y"', hold_at=100_000, hold_ranges=True))
        item = await here.add(url, digests={"sha512": hashlib.sha512(content).hexdigest()})
        assert here.content(await here.until(item)) == content
        assert here.staged == []


async def test_a_digest_known_since_it_was_queued(server, tmp_path):
    content = os.urandom(1000)
    url = server.add("/x", Resource(content))
    async with rig(tmp_path, run=False) as here:
        first = await here.add(url)
        second = await here.add(url, digests={"sha256": sha256(content)})
        async with here.running():
            await here.until(first)
            await here.until(second)
        assert here.content(first) == here.content(second)
        assert len(await here.store.stored()) == 1


async def test_the_same_content_from_two_urls_is_one_blob(server, tmp_path):
    content = os.urandom(100_000)
    urls = [server.add(f"/{n}", Resource(content)) for n in range(4)]
    async with rig(tmp_path) as here:
        items = [await here.add(url, name=f"n{n}") for n, url in enumerate([*urls, urls[0]])]
        for item in items:
            assert here.content(await here.until(item)) == content
        assert [here.item(item).name for item in items] == [f"n{n}" for n in range(5)]
        assert await here.store.stored() == [sha256(content)]


async def test_what_is_sent_with_the_request(server, tmp_path):
    url = server.add("/x", Resource(b"x")).replace("http://", "http://me:pw@")
    async with rig(tmp_path, http={"user_agent": "mine/2"}) as here:
        item = await here.add(url, options={"header.X-Api-Key": "k"})
        [source] = here.catalogue.sources(item.id)
        assert (source.kind, source.public_url) == (SourceKind.HTTP, server.url("/x"))
        await here.until(item)
    headers = server.requests[0].headers
    assert (headers["x-api-key"], headers["user-agent"]) == ("k", "mine/2")
    assert headers["authorization"] == "Basic bWU6cHc="
    assert headers["accept-encoding"] == "identity"


@pytest.mark.parametrize(
    "fields",
    [
        {"urls": []},
        {"urls": ["gopher://h/x"]},
        {"urls": ["http://h/x", "file:///etc/passwd"]},
        {"digests": {"sha256": "12"}},
        {"digests": {"crc32": "12345678"}},
        {"options": {"nonsense": "1"}},
    ],
)
async def test_requests_that_can_never_succeed(tmp_path, fields):
    async with rig(tmp_path) as here:
        with pytest.raises(BadRequest) as caught:
            await here.add(*fields.pop("urls", ["http://h/x"]), **fields)
        assert str(caught.value).endswith(".")
        assert await here.catalogue.downloads() == []


async def test_another_mirror_takes_over(server, tmp_path):
    good = server.add("/good", Resource(b"content"))
    async with rig(tmp_path) as here:
        item = await here.add(server.url("/missing"), "http://127.0.0.1:1/refused", good)
        assert here.content(await here.until(item)) == b"content"
        lost = await here.add(server.url("/missing"), server.url("/missing-too"))
        assert (await here.until(lost)).state is State.FAILED


async def test_a_cookies_file_of_one_download(server, tmp_path):
    file = tmp_path / "cookies.txt"
    file.write_text("# Netscape HTTP Cookie File\n127.0.0.1\tFALSE\t/\tFALSE\t4000000000\tsid\tabc\n")
    async with rig(tmp_path / "state") as here:
        options = {"cookies": str(file)}
        for size in (10, 2_000_000):
            await here.until(await here.add(server.add(f"/{size}", Resource(bytes(size))), options=options))
        await here.until(await here.add(server.add("/other", Resource(b"x"))))
        for wrong in ("cookies.txt", "/missing"):
            with pytest.raises(BadRequest, match="cookies"):
                await here.add(server.url("/x"), options={"cookies": wrong})
    sent = {request.target: request.headers.get("cookie") for request in server.requests}
    assert sent == {"/10": "sid=abc", "/2000000": "sid=abc", "/other": None}


async def test_a_small_file_whose_url_a_stranger_wrote_comes_from_no_private_address(server, tmp_path):
    async with rig(tmp_path / "state") as here:
        item = await here.until(await here.add(server.add("/x", Resource(b"x")), options={"public-only": "yes"}))
        assert item.state is State.FAILED
    assert server.requests == []
