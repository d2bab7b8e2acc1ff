"""What is asked of a place, and whether it has the file that is here. On the trio thread."""

from __future__ import annotations

from engine.sources.stream import Ask, Body
from engine.sources.urls import origin_of, without_login
from engine.transfer.judge import Asked, Failed, Take, judge
from engine.transfer.mirrors import Mirror, sample_of
from engine.transfer.options import Options
from engine.transfer.shared import Shared
from engine.transfer.staged import StagedFile
from engine.transfer.version import Version, version_of


def request(mirror: Mirror, options: Options, start: int | None, end: int | None, validator: str | None) -> Ask:
    """For `[start, end)` of the file (None: all of it, to its end), if it is still the one that `validator` tells. What
    is meant for the places that the user named goes to no other one, wherever redirects led."""
    location = mirror.location
    url = mirror.url if location is None else location.url
    is_own = not (mirror.is_stranger or options.public_only)
    headers = dict(options.headers) if is_own else {}
    if location is not None:
        _, login = without_login(mirror.url)
        headers |= {"Authorization": login} if login else {}
        if origin_of(url) != origin_of(mirror.url):
            headers, is_own = {}, False
    return Ask(
        url,
        start=start,
        end=end,
        if_range=None if start is None else validator,
        headers=headers,
        allow_downgrade=options.allow_downgrade,
        public_only=mirror.public_only or (location is not None and location.public_only),
        is_own=is_own,
        cookies=None if mirror.is_stranger else options.cookies,
    )


async def prove(mirror: Mirror, shared: Shared, file: StagedFile) -> Failed | str | None:
    """Compare a stretch of what is here with what this place gives for it. None: it is the same file, and `mirror` is
    believed from now on; a sentence: it is not. Where piece hashes will tell, the size is enough. FetchFailed."""
    if file.checked is not None:
        mirror.believe(Version(file.size))
        return None
    sample = sample_of(file.ranges)
    if sample is None:
        return f"There is nothing here to compare with what {mirror.host} has."
    start, end = sample
    options = shared.record.options
    async with shared.source.open(request(mirror, options, start, end, None)) as body:
        known = Version(file.size)
        asked = Asked(start, end, known, file.ranges.total, mirror.url, options.any_type, options.size)
        verdict = judge(asked, body.head)
        if isinstance(verdict, Failed):
            return verdict
        version = version_of(body.head, file.size, shared.clock_ns())
        if not isinstance(verdict, Take) or verdict.start != start or verdict.size != file.size:
            return getattr(verdict, "why", f"{mirror.host} gives no ranges of a file of this size.")
        if version.validator is None and not shared.record.row.digests:
            return f"{mirror.host} gives nothing that tells versions of the file apart."
        if await _received(body, end - start) != await file.read(start, end - start):
            return f"{mirror.host} has other bytes."
        mirror.believe(version)
        mirror.led_to(body.head)
        return None


async def _received(body: Body, length: int) -> bytes:
    """The first `length` bytes of the body, fewer where it ends before."""
    parts: list[bytes] = []
    while length > 0 and (data := bytes(await body.receive())):
        parts.append(data[:length])
        length -= len(data)
    return b"".join(parts)
