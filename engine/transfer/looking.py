"""What the connections of a download bring, looked at from time to time: how many are worth having, and which mirrors.
On the trio thread; the decisions are `growth` and `mirrors`.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence

import trio

from engine.transfer.connection import Connection
from engine.transfer.growth import FIRST_LOOK, LOOK
from engine.transfer.mirrors import leave_slow
from engine.transfer.shared import Shared
from engine.transfer.staged import StagedFile


async def look_on(shared: Shared, file: StagedFile) -> None:
    """For ever. Times in which connections came and went tell nothing."""
    pause = FIRST_LOOK
    while True:
        flowing = _flowing(shared)
        if not flowing:
            await shared.arrival.bell.next.wait()
            continue
        received = {mirror: mirror.received for mirror in shared.mirrors}
        began, busy = trio.current_time(), time.thread_time()
        await trio.sleep(pause)
        took, busy = trio.current_time() - began, time.thread_time() - busy
        if file.size is not None and _flowing(shared) == flowing:
            pause = LOOK
            rates = {mirror: (mirror.received - before) / took for mirror, before in received.items()}
            wish, left = shared.growth.wish, file.size - file.ranges.total
            shared.growth.look(len(flowing), sum(rates.values()), left, busy / took)
            counts = Counter(one.mirror for one in flowing)
            slow = leave_slow(shared.mirrors, {mirror: rates[mirror] / count for mirror, count in counts.items()})
            for connection in shared.connections.values():
                if connection.mirror in slow:
                    connection.scope.cancel()
            if slow or wish != shared.growth.wish:
                shared.arrival.bell.ring()


def _flowing(shared: Shared) -> Sequence[Connection]:
    return [one for one in shared.mains() if one.is_flowing]
