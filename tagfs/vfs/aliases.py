"""Node ids that stand for another item than their number says. Trio thread, single owner.

`mv tmp f` gives the content of tmp to f, and tmp is no item any more. But the kernel has moved its node of tmp to the
name f, and programs may have it open: from then on that node means f, until the kernel forgets it.
"""

from __future__ import annotations

from collections.abc import Sequence

from engine.types import ItemId


class Aliases:
    def __init__(self) -> None:
        self._items: dict[int, ItemId] = {}
        self._nodes: dict[ItemId, set[int]] = {}
        self._refused: set[int] = set()

    def item(self, node: int) -> ItemId | None:
        """None for a node that stands for what its number says."""
        return self._items.get(node)

    def nodes(self, item: ItemId) -> Sequence[int]:
        """All under which the kernel may know the item."""
        return (item, *self._nodes.get(item, ()))

    def replaced(self, source: ItemId, target: ItemId) -> None:
        """What was `source` is `target`."""
        nodes = {source, *self._nodes.pop(source, ())}
        self._nodes.setdefault(target, set()).update(nodes)
        self._items.update(dict.fromkeys(nodes, target))

    def refuses(self, node: int) -> bool:
        """Whether an open of such a node is sent back to look up the name, which finds the item's own: its pages are
        the ones that all others use. Who cannot look up (`/proc/self/fd/3`) comes back at once, and gets his way."""
        if node not in self._items or node in self._refused:
            self._refused.discard(node)
            return False
        self._refused.add(node)
        return True

    def forget(self, node: int) -> None:
        self._refused.discard(node)
        item = self._items.pop(node, None)
        if item is not None:
            self._nodes[item].discard(node)
            if not self._nodes[item]:
                del self._nodes[item]
