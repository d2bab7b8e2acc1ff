"""The operations of the mount: node ids and bytes of the kernel to nodes and texts of the vfs, and back. Trio thread.

Each method is guarded: what goes wrong is an errno for one caller, never the end of the mount.
What an answer says is computed after its last await, so that an invalidation sent later comes later.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import pyfuse3
from pyroaring import BitMap

from engine.errors import NameTaken
from engine.ports import Edit
from engine.types import Item, ItemId, Kind
from tagfs.mount.answers import Answers
from tagfs.mount.callers import is_making, is_naming
from tagfs.mount.copiers import copy_by
from tagfs.mount.guard import guarded, silent
from tagfs.mount.handles import Handles
from tagfs.mount.inodes import Inodes
from tagfs.mount.invalidate import Invalidator
from tagfs.mount.listing import Listings, OpenDirectory
from tagfs.mount.opening import WRITE, Opening, draft_file
from tagfs.vfs import attr, edits, moving, numbers
from tagfs.vfs.attr import Attr
from tagfs.vfs.content import BlobFile, DraftFile, TextFile
from tagfs.vfs.context import Context
from tagfs.vfs.dropped import DropFile, drop_xattr, drop_xattrs
from tagfs.vfs.inbox import Drop
from tagfs.vfs.names import NAME_MAX, is_certain
from tagfs.vfs.newcomers import Newcomers
from tagfs.vfs.nodes.folder import FolderDirectory, way_to
from tagfs.vfs.nodes.inbox import drop_attr
from tagfs.vfs.nodes.items import item_attr
from tagfs.vfs.nodes.queries import QueriesDirectory
from tagfs.vfs.nodes.tags import TagsRoot
from tagfs.vfs.nodes.unfinished import UnfinishedDirectory
from tagfs.vfs.tree import (
    BlobNode,
    Closed,
    Directory,
    DropNode,
    FolderNode,
    Inbox,
    ItemNode,
    LinkNode,
    Node,
    TextNode,
    item_of,
)
from tagfs.vfs.xattrs import Xattrs, check_namespace

if TYPE_CHECKING:
    from pyfuse3 import (
        EntryAttributes,
        FileHandleT,
        FileInfo,
        FileNameT,
        FlagT,
        InodeT,
        ModeT,
        RequestContext,
        SetattrFields,
        StatvfsData,
        XAttrNameT,
    )

_RENAME_FLAGS = frozenset({0, pyfuse3.RENAME_NOREPLACE, pyfuse3.RENAME_EXCHANGE})
# Times are kept as 64-bit nanoseconds, 1677 to 2262. Others become the nearest of these, as on other filesystems.
FIRST_MOMENT, LAST_MOMENT = -(2**63), 2**63 - 1


class Operations(pyfuse3.Operations):
    supports_dot_lookup = False
    enable_writeback_cache = False
    enable_acl = False

    def __init__(self, context: Context, tags: TagsRoot, kernel: Invalidator, answers: Answers) -> None:
        super().__init__()
        self.faults = context.faults
        self.inodes = Inodes(context, tags)
        self._opening = Opening(context, kernel)
        self.files = self._opening.files
        self._context = context
        self._kernel = kernel
        kernel.opened = lambda: BitMap([opened.row.id for opened in self.files if opened.row is not None])
        self._answers = answers
        self._directories: Handles[OpenDirectory] = Handles()
        self._listings = Listings(context, self.inodes, answers)
        self._newcomers = Newcomers()
        self._xattrs = Xattrs(context, self._newcomers)

    def init(self) -> None:
        self._kernel.open()

    # -- names -------------------------------------------------------------------------------------------------

    @guarded
    async def lookup(self, parent_inode: InodeT, name: FileNameT, ctx: RequestContext) -> EntryAttributes:
        directory, text = self._directory(parent_inode), _text(name)
        if isinstance(directory, QueriesDirectory) and await _is_to_be_saved(directory, text, ctx.pid):
            raise OSError(errno.ENOENT, f"no query is saved as {text!r}")
        node = await directory.lookup(text)
        if isinstance(node, ItemNode):
            self._listings.looked_up(directory)
        kept = _keeps(directory, text, node) and (item_of(node) is not None or self.inodes.leads_to(parent_inode))
        return self._answer(node, keep_name=kept)

    @silent
    def forget(self, inode_list: Sequence[tuple[InodeT, int]]) -> None:
        for inode, count in inode_list:
            self.inodes.forget(inode, count)
        self._listings.dropped()

    @guarded
    async def getattr(self, inode: InodeT, ctx: RequestContext) -> EntryAttributes:
        await self._answers.passing.walk(inode, ctx.pid)
        return self._attributes(inode)

    @guarded
    async def setattr(
        self, inode: InodeT, attr: EntryAttributes, fields: SetattrFields, fh: FileHandleT | None, ctx: RequestContext
    ) -> EntryAttributes:
        node = self._node(inode)
        if isinstance(node, DropNode):
            return self._set_drop(node, attr, fields)
        if isinstance(node, Directory) and node.item is None:
            return self._set_computed(node, attr, fields)
        item_id = item_of(node)
        if item_id is None:
            raise OSError(errno.EPERM, "only items have attributes that can be changed")
        row = self._context.catalogue.item(item_id)
        item = row or self._ended(item_id)
        _check_owner(attr, fields)
        if fields.update_size:
            await self._opening.truncate(item, attr.st_size, fh)
        draft = self._context.drafts.get(item.id)
        mtime_ns = min(max(attr.st_mtime_ns, FIRST_MOMENT), LAST_MOMENT) if fields.update_mtime else None
        if mtime_ns is not None and draft is not None:
            draft.mtime_ns = mtime_ns
        mode = stat.S_IMODE(attr.st_mode) & 0o777 if fields.update_mode else None
        if row is None:
            self._edit_ended(item, mtime_ns, mode)
        elif mtime_ns is not None or mode is not None:
            await self._context.catalogue.edit(item.id, Edit(mtime_ns=mtime_ns, mode=mode))
        return self._attributes(inode)

    @guarded
    async def readlink(self, inode: InodeT, ctx: RequestContext) -> FileNameT:
        node = self._node(inode)
        if isinstance(node, LinkNode):
            return _name(node.target)
        if isinstance(node, ItemNode):
            item = self._opening.row(node.item)
            if item.kind is Kind.SYMLINK and item.target is not None:
                return _name(item.target)
        raise OSError(errno.EINVAL, "this is no symlink")

    # -- directories -------------------------------------------------------------------------------------------

    @guarded
    async def opendir(self, inode: InodeT, ctx: RequestContext) -> FileHandleT:
        return pyfuse3.FileHandleT(self._directories.add(OpenDirectory(self._directory(inode))))

    @guarded
    async def readdir(self, fh: FileHandleT, start_id: int, token: pyfuse3.ReaddirToken) -> None:
        opened = self._directories[fh]
        if opened.snapshot is None or start_id == 0:
            opened.snapshot = await opened.directory.snapshot()
        self._listings.reply(opened, start_id, token)

    @guarded
    async def releasedir(self, fh: FileHandleT) -> None:
        self._directories.pop(fh)

    async def fsyncdir(self, fh: FileHandleT, datasync: bool) -> None:
        """Every change is durable before its call returns."""

    @guarded
    async def mkdir(self, parent_inode: InodeT, name: FileNameT, mode: ModeT, ctx: RequestContext) -> EntryAttributes:
        directory, text = self._directory(parent_inode), _text(name)
        with self._kernel.holding(parent_inode):
            if not isinstance(directory.place, Closed | Inbox):
                item = await edits.mkdir(self._context, directory, text, mode)
                keep_name = await self._leads_to(directory, text, item)
                if keep_name:  # else whoever goes there at once would lose it under his feet
                    self._kernel.keep(parent_inode, text)
                return self._answer(FolderDirectory(self._context, way_to(directory, item), item), keep_name=keep_name)
            made = await directory.mkdir(text)
            if made.kept:
                self._kernel.keep(parent_inode, text)
            return self._answer(made, keep_name=made.kept)

    @guarded
    async def rmdir(self, parent_inode: InodeT, name: FileNameT, ctx: RequestContext) -> None:
        directory, text = self._directory(parent_inode), _text(name)
        victims, guard = await self._victims(directory, text), isinstance(directory, UnfinishedDirectory)
        with self._kernel.holding(parent_inode, *victims, guard=guard):
            node = await directory.lookup(text)
            if not isinstance(node, Directory):
                raise OSError(errno.ENOTDIR, "this is no directory")
            if node.item is not None:
                await edits.rmdir(self._context, directory, node.item, ctx.pid)
            else:
                await directory.rmdir(text)
            self._kernel.keep(parent_inode, text)

    # -- items -------------------------------------------------------------------------------------------------

    @guarded
    async def create(
        self, parent_inode: InodeT, name: FileNameT, mode: ModeT, flags: FlagT, ctx: RequestContext
    ) -> tuple[FileInfo, EntryAttributes]:
        with self._kernel.holding(parent_inode):
            try:
                file = await self._create(parent_inode, _text(name), mode, ctx.pid, flags)
            except NameTaken as error:
                if flags & os.O_EXCL:
                    raise
                raise OSError(errno.ESTALE, str(error)) from error  # by an undo, say: the kernel is to look again
            node = file.item if isinstance(file, DraftFile) else None
            return self._opening.answer(file, node), await self._answer_file(parent_inode, _text(name), file)

    @guarded
    async def mknod(
        self, parent_inode: InodeT, name: FileNameT, mode: ModeT, rdev: int, ctx: RequestContext
    ) -> EntryAttributes:
        if not stat.S_ISREG(mode):
            raise OSError(errno.EPERM, "only regular files, symlinks and tags can be made")
        with self._kernel.holding(parent_inode):
            file = await self._create(parent_inode, _text(name), mode, ctx.pid, 0)
            await file.close()
            return await self._answer_file(parent_inode, _text(name), file)

    @guarded
    async def unlink(self, parent_inode: InodeT, name: FileNameT, ctx: RequestContext) -> None:
        with self._kernel.holding(parent_inode):
            await edits.unlink(self._context, self._directory(parent_inode), _text(name), ctx.pid)
            self._kernel.keep(parent_inode, _text(name))  # the kernel drops that name itself

    @guarded
    async def rename(  # noqa: PLR0917 - pyfuse3 calls it with these
        self,
        parent_inode_old: InodeT,
        name_old: FileNameT,
        parent_inode_new: InodeT,
        name_new: FileNameT,
        flags: FlagT,
        ctx: RequestContext,
    ) -> None:
        if flags not in _RENAME_FLAGS:
            raise OSError(errno.EINVAL, "of the flags of renameat2 only NOREPLACE or EXCHANGE are known")
        source, target = self._directory(parent_inode_old), self._directory(parent_inode_new)
        old, new = _text(name_old), _text(name_new)
        victims, guard = await self._victims(target, new), isinstance(source, TagsRoot)
        with self._kernel.holding(*{parent_inode_old, parent_inode_new, *victims}, guard=guard):
            if flags == pyfuse3.RENAME_EXCHANGE:
                await self._exchange((parent_inode_old, source, old), (parent_inode_new, target, new))
            elif isinstance(source, TagsRoot | QueriesDirectory) and source is target:
                await self._rename_query(source, old, new)
            elif isinstance(source.place, Inbox) or isinstance(target.place, Inbox):
                await edits.rename_drop(self._context, source, old, target, new)
            else:
                replace = not flags & pyfuse3.RENAME_NOREPLACE
                item = await moving.rename(self._context, source, old, target, new, replace=replace)
                self.inodes.moved((way_to(source, item), way_to(target, item)))
                self._kernel.keep(parent_inode_old, old)  # the kernel has taken the name away itself
                await self._settle_name(parent_inode_new, target, new, item)

    @guarded
    async def link(
        self, inode: InodeT, new_parent_inode: InodeT, new_name: FileNameT, ctx: RequestContext
    ) -> EntryAttributes:
        node = self._node(inode)
        if not isinstance(node, ItemNode):
            raise OSError(errno.EPERM, "only items can be linked")
        with self._kernel.holding(new_parent_inode):
            await edits.link(self._context, node.item, self._directory(new_parent_inode), _text(new_name))
            return await self._answer_new(new_parent_inode, _text(new_name), node.item)

    @guarded
    async def symlink(
        self, parent_inode: InodeT, name: FileNameT, target: FileNameT, ctx: RequestContext
    ) -> EntryAttributes:
        """The kernel wants to see a symlink; where the name stands for a file (a download, a tagged item) or a query,
        what it sees is a node of its own that it may not keep: its next lookup finds the file."""
        text = target.decode("utf-8", "surrogateescape")
        directory = self._directory(parent_inode)
        with self._kernel.holding(parent_inode):
            if isinstance(directory, QueriesDirectory):
                await directory.link(_text(name), text)
                return self._answer_as_link(LinkNode(("symlink", parent_inode, name), text))
            item_id = await edits.symlink(self._context, directory, _text(name), text)
            if self._opening.row(item_id).kind is Kind.SYMLINK:
                return await self._answer_new(parent_inode, _text(name), item_id)
            return self._answer_as_link(LinkNode(("symlink", parent_inode, item_id), text))

    # -- content -----------------------------------------------------------------------------------------------

    @guarded
    async def open(self, inode: InodeT, flags: FlagT, ctx: RequestContext) -> FileInfo:
        node = self._node(inode)
        match node:
            case TextNode() | BlobNode() if flags & WRITE:  # root may, by the modes
                raise OSError(errno.EPERM, "this is read-only")
            case TextNode():
                return self._opening.answer(TextFile(node.render()))
            case BlobNode(blob):
                return self._opening.answer(BlobFile(self._context, blob.sha256))
            case ItemNode(item):
                return await self._opening.item(inode, item, flags, ctx.pid)
            case DropNode():
                return self._opening.answer(await self._open_drop(node, flags))
            case _:
                raise OSError(errno.EISDIR, "this is a directory")

    @guarded
    async def read(self, fh: FileHandleT, off: int, size: int) -> bytes:
        return await self.files[fh].read(off, size)

    @guarded
    async def write(self, fh: FileHandleT, off: int, buf: bytes) -> int:
        return await self.files[fh].write(off, buf)

    @guarded
    async def flush(self, fh: FileHandleT) -> None:
        """Of each close(2), which waits for this alone: hashing begins after the last release, which comes later."""
        opened = self.files[fh]
        opened.closing = True
        if isinstance(opened, DraftFile):
            opened.flush()

    @guarded
    async def fsync(self, fh: FileHandleT, datasync: bool) -> None:
        await self.files[fh].fsync(data_only=datasync)

    @guarded
    async def release(self, fh: FileHandleT) -> None:
        opened = self.files.pop(fh)
        if opened is not None:
            if opened.node is not None and opened.version is not None:
                self._context.drafts.pages.close(opened.node, opened.version, direct=opened.direct_io)
            if opened.released is not None:
                opened.released.set()
            await opened.close()
            if isinstance(opened, DraftFile):
                self._newcomers.closed(opened.item)

    @guarded
    async def statfs(self, ctx: RequestContext) -> StatvfsData:
        found = os.statvfs(self._context.store)
        answer = pyfuse3.StatvfsData()
        answer.f_bsize, answer.f_frsize = found.f_bsize, found.f_frsize
        answer.f_blocks, answer.f_bfree, answer.f_bavail = found.f_blocks, found.f_bfree, found.f_bavail
        answer.f_files = answer.f_ffree = answer.f_favail = found.f_favail
        answer.f_namemax = NAME_MAX
        return answer

    async def access(self, inode: InodeT, mode: ModeT, ctx: RequestContext) -> bool:
        """Never asked: the kernel checks the modes itself (default_permissions)."""
        return True

    # -- extended attributes -----------------------------------------------------------------------------------

    @guarded
    async def getxattr(self, inode: InodeT, name: XAttrNameT, ctx: RequestContext) -> bytes:
        node, key = self._node(inode), _attribute(name)
        item = item_of(node)
        if item is not None:
            return self._xattrs.get(item, key)
        if isinstance(node, DropNode):
            return drop_xattr(self._drop(node), key)
        raise OSError(errno.ENODATA, f"there is no attribute {key}")

    @guarded
    async def listxattr(self, inode: InodeT, ctx: RequestContext) -> Sequence[XAttrNameT]:
        node = self._node(inode)
        item = item_of(node)
        names = [] if item is None else self._xattrs.list(item)
        if isinstance(node, DropNode):
            names = drop_xattrs(self._drop(node))
        return [pyfuse3.XAttrNameT(name.encode("utf-8", "surrogateescape")) for name in names]

    @guarded
    async def setxattr(self, inode: InodeT, name: XAttrNameT, value: bytes, ctx: RequestContext) -> None:
        node, key = self._node(inode), _attribute(name)
        if isinstance(node, DropNode):  # cp -a and browsers try, and go on without when it is not supported
            raise OSError(errno.EOPNOTSUPP, "a file in /inbox has no attributes of its own")
        item = item_of(node)
        if item is None:
            raise OSError(errno.EPERM, "only items have attributes")
        copier = partial(copy_by, self._context, ctx.pid)
        await self._xattrs.set(item, key, value, program=ctx.pid, copier=copier)

    @guarded
    async def removexattr(self, inode: InodeT, name: XAttrNameT, ctx: RequestContext) -> None:
        item, key = item_of(self._node(inode)), _attribute(name)
        if item is None:
            raise OSError(errno.ENODATA, f"there is no attribute {key}")
        await self._xattrs.remove(item, key, copier=partial(copy_by, self._context, ctx.pid))

    # -- in between --------------------------------------------------------------------------------------------

    async def _victims(self, directory: Directory, name: str) -> list[int]:
        """The directory that an operation removes or replaces: the kernel holds it, too."""
        try:
            node = await directory.lookup(name)
        except OSError:
            return []
        number = self.inodes.number_at(node.location) if isinstance(node, Directory) else None
        return [] if number is None else [number]

    def _node(self, inode: int) -> Node:
        node = self.inodes.node(inode)
        if node is None:
            raise OSError(errno.ESTALE, f"node {inode} is not known any more")
        return node

    def _directory(self, inode: int) -> Directory:
        node = self._node(inode)
        if not isinstance(node, Directory):
            raise OSError(errno.ENOTDIR, "this is no directory")
        return node

    def _attr(self, node: Node) -> Attr:
        match node:
            case ItemNode(item) | FolderNode(item):
                row = self._context.catalogue.item(item)
                if row is not None and row.kind is Kind.FOLDER and isinstance(node, ItemNode):
                    # The kernel knows it as a file, and would call a directory there an I/O error; so it looks anew.
                    raise OSError(errno.ESTALE, f"item {item} has become a folder")
                return item_attr(self._context, row) if row is not None else self._attr_of_ended(item)
            case BlobNode(blob):
                return attr.of_blob(numbers.of_blob(blob.id), blob.size, self._context.started_ns)
            case TextNode(number):
                return attr.of_text(number, self._context.started_ns)
            case LinkNode():
                return self._link_attr(node, self.inodes.number_of(node))
            case DropNode():
                return drop_attr(self._drop(node))
            case Directory():
                return node.attr()

    def _attributes(self, inode: int) -> EntryAttributes:
        """The answer to getattr and setattr. A node that stands for another item than its number says is not told when
        that changes."""
        answer = self._answers.attributes(self._attr(self._node(inode)))
        if self._context.drafts.aliases.item(inode) is not None or inode in self._answers.passing.unsure:
            answer.attr_timeout = 0
        return answer

    def _attr_of_ended(self, item: ItemId) -> Attr:
        """It has no name left."""
        return item_attr(self._context, self._ended(item))._replace(nlink=0)

    def _ended(self, item: ItemId) -> Item:
        """What is gone for good, for those who still have it open."""
        row = next((opened.row for opened in self.files if opened.row is not None and opened.row.id == item), None)
        if row is None:  # the kernel looks its name up anew
            raise OSError(errno.ESTALE, f"item {item} is gone")
        return row

    def _edit_ended(self, item: Item, mtime_ns: int | None, mode: int | None) -> None:
        row = item._replace(
            mtime_ns=item.mtime_ns if mtime_ns is None else mtime_ns, mode=item.mode if mode is None else mode
        )
        for opened in self.files:
            if opened.row is not None and opened.row.id == item.id:
                opened.row = row

    def _link_attr(self, link: LinkNode, number: int) -> Attr:
        return attr.of_link(number, link.target, self._context.started_ns)

    def _answer(self, node: Node, *, keep_name: bool = True) -> EntryAttributes:
        """Compute first, hand out last: a node id that was handed out must reach the kernel."""
        found = self._attr(node) if not isinstance(node, LinkNode) else self._link_attr(node, 0)
        answer = self._answers.entry(found, keep_name=keep_name)
        return self._answers.lead_to(answer, self.inodes.hand_out(node))

    def _answer_as_link(self, shown: LinkNode) -> EntryAttributes:
        answer = self._answers.entry(attr.of_link(0, shown.target, self._context.started_ns), keep=False)
        return self._answers.lead_to(answer, self.inodes.hand_out(shown))

    async def _answer_new(self, parent: int, name: str, item: ItemId) -> EntryAttributes:
        keep_name = await self._leads_to(self._directory(parent), name, item)
        return self._answer(ItemNode(item), keep_name=keep_name)

    async def _rename_query(self, parent: TagsRoot | QueriesDirectory, old: str, new: str) -> None:
        """A tag or a saved query. Its directory goes along with the commit; then the kernel moves the name that it has
        of it, and is right as long as nobody has been quick to rename it again."""
        number = self.inodes.number_at((*parent.location, old))
        await parent.rename(old, new)
        self._kernel.keep(parent.number, old)
        if number is not None and self.inodes.number_at((*parent.location, new)) == number:
            self._kernel.keep(parent.number, new)
        else:
            await self._kernel.forget([(parent.number, new)], [])

    async def _exchange(self, one: tuple[int, Directory, str], other: tuple[int, Directory, str]) -> None:
        (first, source, old), (second, target, new) = one, other
        moved, met = await moving.exchange(self._context, source, old, target, new)
        self.inodes.moved((way_to(source, moved), way_to(target, moved)), (way_to(target, met), way_to(source, met)))
        await self._settle_name(first, source, old, met)
        await self._settle_name(second, target, new, moved)

    async def _settle_name(self, parent: int, directory: Directory, name: str, item: ItemId) -> None:
        """The kernel leads a name to what it has just moved there. It forgets that where it is wrong, and
        only there: to forget the name of a directory takes it from those who are in it."""
        alone = len(self._context.drafts.aliases.nodes(item)) == 1
        if alone and await self._leads_to(directory, name, item):
            self._kernel.keep(parent, name)
        else:
            await self._kernel.forget([(parent, name)], [])

    async def _leads_to(self, directory: Directory, name: str, item: ItemId) -> bool:
        """Whether the kernel may believe that a name which it has just made or moved leads to `item`. An item that was
        put into `a/-/b` may have tag b; somebody else may have been quicker with another one of that name."""
        try:
            node = await directory.lookup(name)
        except OSError:
            return False
        return item_of(node) == item and _keeps(directory, name, node)

    async def _create(self, parent: int, name: str, mode: int, program: int, flags: int) -> DraftFile | DropFile:
        directory = self._directory(parent)
        if isinstance(directory.place, Inbox):
            drop = await edits.drop(self._context, directory, name)
            return DropFile(self._context.inbox, drop, writing=True)
        draft = await edits.create(self._context, directory, name, mode)
        file = draft_file(self._context.drafts, draft, flags)
        file.row = self._context.catalogue.item(file.item)
        self._newcomers.made(file.item, draft.tags, program)
        return file

    async def _answer_file(self, parent: int, name: str, file: DraftFile | DropFile) -> EntryAttributes:
        if isinstance(file, DropFile):
            return self._answer(DropNode(file.drop.number), keep_name=False)
        return await self._answer_new(parent, name, file.item)

    def _drop(self, node: DropNode) -> Drop:
        drop = self._context.inbox.numbered(node.number)
        if drop is None:
            raise OSError(errno.ENOENT, "it was taken in already")
        return drop

    def _set_computed(self, directory: Directory, attr: EntryAttributes, fields: SetattrFields) -> EntryAttributes:
        """Its times are computed; tar and rsync set them at the end, and `cp -a` the mode that it has."""
        answer = self._answers.attributes(directory.attr())
        _check_owner(attr, fields)
        if fields.update_mode and stat.S_IMODE(attr.st_mode) != stat.S_IMODE(answer.st_mode):
            raise OSError(errno.EPERM, "only items have a mode that can be changed")
        return answer

    async def _open_drop(self, node: DropNode, flags: int) -> DropFile:
        drop, writing = self._drop(node), bool(flags & WRITE)
        await self._context.inbox.open(drop, writing=writing, truncate=writing and bool(flags & os.O_TRUNC))
        return DropFile(self._context.inbox, drop, writing=writing)

    def _set_drop(self, node: DropNode, attr: EntryAttributes, fields: SetattrFields) -> EntryAttributes:
        """Mode and owner are taken for said: the file is read, and goes."""
        drop = self._drop(node)
        if fields.update_size:
            self._context.inbox.truncate(drop, attr.st_size)
        if fields.update_mtime:
            drop.mtime_ns = min(max(attr.st_mtime_ns, FIRST_MOMENT), LAST_MOMENT)
        return self._answers.attributes(drop_attr(drop))


async def _is_to_be_saved(queries: QueriesDirectory, name: str, thread: int) -> bool:
    """Whether a name that an expression has, or that is none, must be absent for somebody to save a query by it."""
    if queries.is_saved(name):
        return False
    return await is_making(thread, name) or (not queries.is_expression(name) and is_naming(thread))


def _check_owner(wanted: EntryAttributes, fields: SetattrFields) -> None:
    if (fields.update_uid and wanted.st_uid != os.getuid()) or (fields.update_gid and wanted.st_gid != os.getgid()):
        raise OSError(errno.EPERM, "all items belong to the user who mounted")


def _keeps(directory: Directory, name: str, node: Node) -> bool:
    """Whether the kernel may keep that `name` leads to `node`: then `Views` knows when it does not any more."""
    if isinstance(node, Directory) and node.item is None:
        return node.kept
    return directory.keeps and is_certain(name)


def _text(name: bytes) -> str:
    if len(name) > NAME_MAX:
        raise OSError(errno.ENAMETOOLONG, f"a name has at most {NAME_MAX} bytes")
    return name.decode("utf-8", "surrogateescape")


def _name(text: str) -> FileNameT:
    return pyfuse3.FileNameT(text.encode("utf-8", "surrogateescape"))


def _attribute(name: bytes) -> str:
    """Checked before anything else, so that `ls -l` costs no look at the item."""
    text = name.decode("utf-8", "surrogateescape")
    check_namespace(text)
    return text
