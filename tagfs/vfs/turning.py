"""Directories whose query means something else since a commit. Trio thread, with the commit's `apply`.

Where relations between tags change, or the text of a saved query, a directory means another query from then on: it goes
over to another view at commit, and stays with the old one as well until the kernel has forgotten the names of that. So
it does where a tag that its path names is renamed: it is found by the new name from then on (`along.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from engine.types import SAVING, TagChange, TagEvent
from tagfs.vfs import numbers
from tagfs.vfs.along import Along, Move, Path, Places, Renaming
from tagfs.vfs.forgetting import follows, is_moved
from tagfs.vfs.known import Known, View


class Turning:
    """State: the moves and renamings that the kernel may not know of yet."""

    def __init__(self, known: Known) -> None:
        self._known = known
        self._places: Places | None = None
        self.renamings: list[Renaming] = []
        self.moves: list[Move] = []  # of which the kernel may still hold names
        self._told: list[Move] = []  # those among them of which it was told

    def connect(self, places: Places) -> None:
        self._places = places

    def turn(self, tags: Sequence[TagChange]) -> set[View]:
        """Bring directories to the view that their query means now; returns the views that they have left and joined.

        What a relation alters in a query names one of its tags already, see `query.relations`."""
        candidates: set[int] = set()
        renamings = [(change, self._rename(change, candidates)) for change in tags if _is_rename(change)]
        again: set[int] = set()  # what they state may be another matter though what they match is the same
        for change in tags:
            if change.event in SAVING:
                again.update(d for d, path in self._known.paths.items() if path[:2] == (numbers.QUERIES, change.name))
            elif change.event not in (TagEvent.CREATED, TagEvent.RETAGGED):
                for view in self._known.naming(change):
                    candidates |= view.directories
        turned: set[View] = set()
        for directory in candidates | again:
            follower = self._known.followers.get(directory)
            if follower is None:
                continue
            old, meaning = follower.view, follower.meaning()
            if meaning != old.expr or directory in again:
                new = self._known.join(self._known.view(meaning), directory)
                new.inner |= old.inner
                follower.follow(new)
                self.moves.append(_move(directory, old, new, renamings))
                turned |= {old, new}
        self.renamings += [renaming for _, renaming in renamings]
        return turned

    def _rename(self, change: TagChange, along: set[int]) -> Renaming:
        """Take `along` the directories whose path names the tag or saved query. What a merge does to items that carried
        the tag is told of by itself; others are where they were by a query of its old name, which finds nobody else."""
        old, new = change.name, change.new_name or change.heir
        assert new is not None
        if change.event in SAVING:
            renaming = Renaming(None, [], set())
            self._go_along([] if self._places is None else self._places.query_renamed(old, new), renaming, along)
            return renaming
        for earlier in self.renamings:
            earlier.tag = new if earlier.tag == old else earlier.tag
        is_merge = change.new_name is None
        for move in () if is_merge else self.moves:
            move.follow(old, new)
        views = () if is_merge else [view for view in self._known.naming(change) if is_moved(view.expr, old, new)]
        renaming = Renaming(new, [], {directory for view in views for directory in view.directories})
        named = self._known.named_by(old)
        went = [] if self._places is None else self._places.tag_renamed(named, old, new, replace=not is_merge)
        self._go_along(went, renaming, along)
        return renaming

    def _go_along(self, went: Iterable[Along], renaming: Renaming, along: set[int]) -> None:
        for directory, name, terms, replaces in went:
            parent, before, _ = self._known.paths[directory]
            self._known.relocate(directory, Path(parent, name, terms))
            renaming.names += [(parent, before)] if name != before else []
            renaming.names += [(parent, name)] if replaces else []
            along.add(directory)

    def leave(self, directory: int) -> list[View]:
        """The kernel has forgotten that node id; what it showed before its moves."""
        left = [move.old for move in self.moves if move.directory == directory]
        self.moves = [move for move in self.moves if move.directory != directory]
        return left

    def untold(self) -> list[Move]:
        return [move for move in self.moves if move not in self._told]

    def told(self, moves: Iterable[Move], renamings: Iterable[Renaming]) -> None:
        """The kernel was told of them."""
        self._told += moves
        done = list(renamings)
        self.renamings = [renaming for renaming in self.renamings if renaming not in done]

    def end(self) -> None:
        """Of those that were told the kernel knows nothing by their old views any more. Not before all commits have
        settled that were applied when it was told: what they did to an item was left for them to tell."""
        ended, self._told = self._told, []
        self.moves = [move for move in self.moves if move not in ended]
        for move in ended:
            follower = self._known.followers.get(move.directory)
            pending = any(other.old is move.old and other.directory == move.directory for other in self.moves)
            if not pending and (follower is None or follower.view is not move.old):
                move.old.directories.discard(move.directory)
                self._known.retire(move.old)


def _is_rename(change: TagChange) -> bool:
    return change.new_name is not None or change.heir is not None


def _move(directory: int, old: View, new: View, renamings: Iterable[tuple[TagChange, Renaming]]) -> Move:
    """Where a rename is all there is to it, it shows what it did."""
    move = Move(directory, old, new, old.expr, set())
    for change, renaming in renamings:
        if renaming.tag is not None and change.heir is None:
            if follows(move.was, new.expr, change.name, renaming.tag):
                renaming.directories.discard(directory)
            move.follow(change.name, renaming.tag)
    return move
