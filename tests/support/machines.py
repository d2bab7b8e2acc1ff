"""How state machines over a real mount run: TAGFS_STEPS says how many calls are made in all, at most 100 on a mount."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test


def run_on_mounts(machine: type[RuleBasedStateMachine], *, steps: int) -> None:
    """`steps`: unless TAGFS_STEPS says another number."""
    steps = int(os.environ.get("TAGFS_STEPS", steps))
    each = min(steps, 100)
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=max(1, steps // each),
            stateful_step_count=each,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            phases=(Phase.explicit, Phase.generate),  # to shrink what failed would take minutes, each try a mount
        ),
    )
