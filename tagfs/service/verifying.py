"""verify: whether all that is stored agrees, and mending it. Long: it reports, and is cancelled with its client."""

from __future__ import annotations

import re

from engine.soundness.checker import ALL, Checker, Step, Subset
from engine.soundness.faults import Fault
from engine.soundness.mending import Mender
from tagfs.control.errors import Code, VerbError
from tagfs.control.verbs import Report
from tagfs.control.views import FaultView, VerifyView, WorkView
from tagfs.service.base import Part, verb

MAX_LISTED = 1000
SUBSET = re.compile(r"([1-9]\d{0,5})/([1-9]\d{0,5})", re.ASCII)


class Verifying(Part):
    @verb
    async def verify(
        self, *, data: bool = False, subset: str | None = None, repair: bool = False, report: Report[WorkView]
    ) -> VerifyView:
        part = ALL if subset is None else parse_subset(subset)
        checker = Checker(self.catalogue, self.index, self.store)

        def told(step: Step) -> None:
            word = "hashing" if step.name else "scanning"
            report(WorkView(word, step.name, step.blobs, step.blobs_total, step.read, step.read_total))

        found = await checker.run(told, data=data, subset=part)
        faults = list(found.faults)
        if repair:
            report(WorkView("mending", "", 0, len(faults), 0, 0))
            faults = await Mender(self.catalogue, self.index, self.store, checker).mend(faults)
        mended = sum(fault.mended is not None for fault in faults)
        views = tuple(map(_view, faults[:MAX_LISTED]))
        return VerifyView(len(self.index.live), found.blobs, found.read, views, len(faults), mended)


def parse_subset(text: str) -> Subset:
    match = SUBSET.fullmatch(text)
    if match is None or int(match[1]) > int(match[2]):
        raise VerbError(Code.BAD_REQUEST, f"A subset is a part of so many, such as 1/4, not {text!r}.")
    return Subset(int(match[1]), int(match[2]))


def _view(fault: Fault) -> FaultView:
    return FaultView(
        fault.kind.value, fault.item, fault.name, fault.sha256, fault.path, fault.sentence, fault.cause, fault.mended
    )
