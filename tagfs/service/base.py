"""What all groups of verbs share: the parts of the engine, errors in the socket's terms, items by reference. trio
thread."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Concatenate, ParamSpec, TypeVar

from engine import errors
from engine.blobs import BlobStore
from engine.ports import Catalogue, Index, Transfers
from engine.types import Item, ItemId
from query.ast import Expr, Query
from query.errors import BadName, QueryError
from query.names import clean
from query.parse import Unfinished, parse_expression, parse_path
from tagfs.control.errors import Code, VerbError
from tagfs.control.verbs import Ref, Spelling
from tagfs.vfs.context import Context
from tagfs.vfs.names import is_tilde_name, tilde_ids

P = ParamSpec("P")
R = TypeVar("R")
S = TypeVar("S")

_CODES: tuple[tuple[type[Exception], Code], ...] = (
    (errors.NoSuchItem, Code.NOT_FOUND),
    (errors.NoSuchTag, Code.NOT_FOUND),
    (errors.NoSuchChange, Code.NOT_FOUND),
    (errors.NoSuchRelation, Code.NOT_FOUND),
    (errors.NoSuchQuery, Code.NOT_FOUND),
    (errors.NameTaken, Code.EXISTS),
    (errors.TagInUse, Code.IN_USE),
    (errors.NotEmpty, Code.IN_USE),
    (errors.BadRequest, Code.BAD_REQUEST),
    (errors.StoreFull, Code.NO_SPACE),
    (errors.EngineError, Code.FAILED),
    (QueryError, Code.BAD_REQUEST),
    (BadName, Code.BAD_REQUEST),
)
SAVED = "@"  # begins no tag and no expression
BY_ID = re.compile(r"(?:id:|~)(\d{1,10})", re.ASCII)
AMBIGUOUS_SHOWN = 10


def verb(
    method: Callable[Concatenate[S, P], Coroutine[Any, Any, R]],
) -> Callable[Concatenate[S, P], Coroutine[Any, Any, R]]:
    """Known errors leave as VerbError; what else escapes is a bug, which the server logs and answers as such."""

    @functools.wraps(method)
    async def wrapper(self: S, /, *args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return await method(self, *args, **kwargs)
        except (errors.EngineError, QueryError, BadName) as error:
            code = next(code for kind, code in _CODES if isinstance(error, kind))
            raise VerbError(code, str(error)) from error

    return wrapper


@dataclass(frozen=True)
class Part:
    """`store` is the concrete blob store: imports and verification need more of it than the port promises."""

    context: Context
    store: BlobStore

    @property
    def catalogue(self) -> Catalogue:
        return self.context.catalogue

    @property
    def index(self) -> Index:
        return self.context.index

    @property
    def transfers(self) -> Transfers:
        return self.context.transfers

    # -- references --------------------------------------------------------------------------------------------

    def items_of(self, refs: Sequence[Ref], *, trashed: bool = False) -> list[Item]:
        """All or nothing; an item that is named twice comes once."""
        return list({item.id: item for item in (self._item_of(ref, trashed=trashed) for ref in refs)}.values())

    def numbers_of(self, refs: Sequence[Ref]) -> list[int]:
        """The items' numbers, of which those that are given by id need not exist any more."""
        return [
            int(by_id[1]) if (by_id := BY_ID.fullmatch(ref)) else self._item_of(ref, trashed=True).id for ref in refs
        ]

    def _item_of(self, ref: Ref, *, trashed: bool) -> Item:
        by_id = BY_ID.fullmatch(ref)
        if by_id:
            item = self.catalogue.item(ItemId(int(by_id[1])))
            if item is None or (item.id not in self.index.live and not trashed):
                raise VerbError(Code.NOT_FOUND, f"There is no item with the id {by_id[1]}.")
            return item
        top, *inside = ref.split("/")
        item = self._named(top)
        for name in inside:
            within = self.catalogue.child(item.id, name) or self._by_tilde(name, item.id)
            found = None if within is None else self.catalogue.item(within)
            if found is None:
                raise VerbError(Code.NOT_FOUND, f"There is no item called {name!r} in {item.name!r}.")
            item = found
        return item

    def _named(self, ref: str) -> Item:
        live = [item for item in self.catalogue.named(ref) if item in self.index.live]
        named = [item for item in live if item not in self.index.inner] or live
        if len(named) > 1:
            shown = ", ".join(f"id:{item}" for item in named[:AMBIGUOUS_SHOWN])
            raise VerbError(Code.AMBIGUOUS, f"{len(named)} items are called {ref!r}: name one of {shown}.")
        found = named[0] if named else self._by_tilde(ref, None)
        item = None if found is None else self.catalogue.item(found)
        if item is None:
            raise VerbError(Code.NOT_FOUND, f"There is no item called {ref!r}.")
        return item

    def _by_tilde(self, ref: str, folder: ItemId | None) -> ItemId | None:
        """The live item that is meant by `stem~ID.ext`; in `folder`, if one is given."""
        for number, _ in tilde_ids(ref):
            item = self.catalogue.item(number)
            if item is None or number not in self.index.live or folder not in (None, item.parent):
                continue
            if is_tilde_name(ref, item.name, number):
                return number
        return None

    def known_tag(self, name: str) -> str:
        """The tag as it is stored; NOT_FOUND where there is none of that name."""
        tag = clean(name)
        if not self.index.has_tag(tag):
            raise VerbError(Code.NOT_FOUND, f"There is no tag called {name!r}.")
        return tag

    # -- queries -----------------------------------------------------------------------------------------------

    def parsed(self, query: str, spelling: Spelling) -> Query:
        """What was typed; NOT_FOUND where it names a tag or key that there is not. `@NAME` is a saved query, in which
        such a tag is one that nobody carries."""
        if query.startswith(SAVED) and query not in (SAVED, 2 * SAVED):
            saved = self.catalogue.saved_query(query[1:])
            if saved is None:
                raise VerbError(Code.NOT_FOUND, f"No query is saved as {query[1:]!r}.")
            return parse_expression(saved.text)
        found = parse_expression(query) if spelling is Spelling.EXPRESSION else _path(query)
        unknown = self.index.unknown(found.expr)
        if unknown is not None:
            raise VerbError(Code.NOT_FOUND, f"There is no tag or key called {unknown!r}.")
        return found

    async def prepared(self, query: str, spelling: Spelling) -> Expr:
        """What it means by the relations between tags, normalised and ready to be evaluated."""
        expr = self.index.relations.compiled(self.parsed(query, spelling))
        await self.index.prepare(expr)
        return expr


def _path(text: str) -> Query:
    parsed = parse_path(tuple(filter(None, text.split("/"))))
    if isinstance(parsed, Unfinished):
        raise VerbError(Code.BAD_REQUEST, f"The query {text!r} is not finished: something must follow.")
    return parsed.query
