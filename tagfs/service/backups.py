"""backup: a second copy of everything in a folder. Long: it reports, and is cancelled with its client."""

from __future__ import annotations

import os
import time

import trio

from engine.backup import Step, back_up
from engine.errors import StoreFull
from tagfs.control.errors import Code, VerbError
from tagfs.control.verbs import Report
from tagfs.control.views import BackupView, WorkView
from tagfs.daemon.mountinfo import FSTYPE, mounts
from tagfs.service.base import Part, verb
from tagfs.service.scan import leads_into

MAX_LISTED = 1000


class Backups(Part):
    @verb
    async def backup(
        self, path: str, *, copies: bool = False, prune: bool = False, report: Report[WorkView]
    ) -> BackupView:
        if not os.path.isabs(path):
            raise VerbError(Code.BAD_REQUEST, "The folder of a backup is an absolute path.")
        reason = await trio.to_thread.run_sync(leads_into, path, self._not_there())
        if reason is not None:
            raise VerbError(Code.BAD_REQUEST, f"{path} cannot take a backup: {reason}")

        def told(step: Step) -> None:
            report(WorkView("copying", "", step.blobs, step.blobs_total, step.bytes, step.bytes_total))

        try:
            made = await back_up(
                self.catalogue, self.store, path, told, now_ns=time.time_ns(), copies=copies, prune=prune
            )
        except StoreFull as error:
            raise VerbError(Code.NO_SPACE, f"There is no space left for the backup in {path}.") from error
        except OSError as error:
            raise VerbError(Code.FAILED, f"The backup failed: {error.filename or path}: {error.strerror}.") from error
        missing = tuple(made.missing[:MAX_LISTED])
        return BackupView(
            made.blobs, made.bytes, made.copied, made.copied_bytes, missing, len(made.missing), made.removed
        )

    def _not_there(self) -> dict[str, str]:
        """Folders that no backup goes into, and why."""
        mounted = {mount.mountpoint: "it is on a tagfs mount." for mount in mounts() if mount.fstype == FSTYPE}
        ours = {self.context.mountpoint: "it is in the mount."}
        return mounted | ours | {os.path.realpath(self.context.store): "it is in the state directory."}
