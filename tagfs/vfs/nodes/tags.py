"""/tags: every tag is a directory; made by mkdir, removed by rmdir, renamed by mv."""

from __future__ import annotations

import errno

from query.errors import BadName
from query.names import check_own_tag
from query.parse import Unfinished, parse_path
from tagfs.vfs import attr, numbers
from tagfs.vfs.attr import Attr
from tagfs.vfs.context import Context
from tagfs.vfs.nodes.query import NARROWING, QueryDirectory
from tagfs.vfs.nodes.steps import Steps
from tagfs.vfs.nodes.unfinished import UnfinishedDirectory
from tagfs.vfs.tree import Closed, Directory, Place, no_entry


class TagsRoot(UnfinishedDirectory):
    place: Place = Closed("no tag is stated here: put it below a tag, or into /files")

    def __init__(self, context: Context) -> None:
        empty = parse_path(())
        assert isinstance(empty, Unfinished)
        super().__init__(context, (), empty, Steps(context))
        self.number = numbers.TAGS

    def attr(self) -> Attr:
        return attr.of_directory(self.number, self._context.views.tags_changed_ns, writable=True)

    def directory(self, path: tuple[str, ...]) -> Directory | None:
        """The directory at `path` below /tags; None when it names no known tag any more."""
        *above, name = path
        if name != NARROWING:
            return self._steps.step(tuple(above), name)
        query = self.directory(tuple(above))
        return self._steps.narrowing(query.path, query.query) if isinstance(query, QueryDirectory) else None

    async def mkdir(self, name: str) -> Directory:
        await self._context.catalogue.create_tag(_tag(name))
        made = self._steps.step((), name)
        if made is None:  # somebody was quick to remove it
            raise no_entry(name)
        return made

    async def rmdir(self, name: str) -> None:
        if name.endswith(":"):
            raise OSError(errno.EPERM, f"{name} is a key: remove its values one by one, as in {name}/VALUE")
        await self._context.catalogue.remove_tag(_tag(name))

    async def rename(self, old: str, new: str) -> None:
        """Everywhere, at once. Onto a tag in use: ENOTEMPTY."""
        await self._context.catalogue.rename_tag(_tag(old), _tag(new))


def _tag(name: str) -> str:
    """The tag that a name means: a name in another normal form of Unicode leads to the same directory."""
    try:
        return check_own_tag(name)
    except BadName as error:
        raise OSError(errno.EINVAL, str(error)) from error
