"""The states of a run, and the transition tables of rotations and migrations.

Every end of a rotation other than ``completed`` leaves every version enabled that was enabled at the start.
"""

from collections.abc import Mapping
from enum import StrEnum

from keyturn.errors import InvalidTransitionError


class State(StrEnum):
    """Where a run stands."""

    REQUESTED = "requested"
    PREFLIGHT = "preflight"
    CREATING_VERSION = "creating_version"
    SWEEPING = "sweeping"
    SOAKING = "soaking"
    AWAITING_APPROVAL = "awaiting_approval"
    RETIRING = "retiring"
    WATCHING = "watching"
    COMPLETED = "completed"
    BLOCKED = "blocked"
    NEEDS_ATTENTION = "needs_attention"
    REJECTED = "rejected"
    EXPIRED = "expired"
    ABORTED = "aborted"
    REINSTATED = "reinstated"
    FAILED = "failed"
    RUNNING = "running"  # of migrations only


TERMINAL: frozenset[State] = frozenset(
    {
        State.COMPLETED,
        State.BLOCKED,
        State.REJECTED,
        State.EXPIRED,
        State.ABORTED,
        State.REINSTATED,
        State.FAILED,
    }
)

_STOPS = frozenset({State.ABORTED, State.FAILED})

TRANSITIONS: Mapping[State, frozenset[State]] = {
    State.REQUESTED: frozenset({State.PREFLIGHT}) | _STOPS,
    # A dry run is completed when its pre-flight passed: it wrote nothing but its own record.
    State.PREFLIGHT: frozenset({State.CREATING_VERSION, State.BLOCKED, State.COMPLETED, State.NEEDS_ATTENTION})
    | _STOPS,
    State.CREATING_VERSION: frozenset({State.SWEEPING, State.NEEDS_ATTENTION}) | _STOPS,
    State.SWEEPING: frozenset({State.SOAKING, State.NEEDS_ATTENTION}) | _STOPS,
    State.SOAKING: frozenset({State.AWAITING_APPROVAL, State.NEEDS_ATTENTION, State.SWEEPING}) | _STOPS,
    # Back to sweeping: something new was found after the evidence was frozen, so the evidence is void.
    State.AWAITING_APPROVAL: frozenset(
        {State.RETIRING, State.SWEEPING, State.REJECTED, State.EXPIRED, State.NEEDS_ATTENTION}
    )
    | _STOPS,
    # Back to sweeping: the final count was not zero. Never to aborted: from here on, undoing is reinstating.
    State.RETIRING: frozenset({State.WATCHING, State.SWEEPING, State.NEEDS_ATTENTION, State.REINSTATED, State.FAILED}),
    State.WATCHING: frozenset({State.COMPLETED, State.NEEDS_ATTENTION, State.REINSTATED, State.FAILED}),
    # Where the rotation goes on: in the sweep, or in the pre-flight where it has no version yet.
    State.NEEDS_ATTENTION: frozenset({State.SWEEPING, State.PREFLIGHT}) | _STOPS,
    **{state: frozenset() for state in State if state in TERMINAL},
}

MIGRATION_TRANSITIONS: Mapping[State, frozenset[State]] = {
    State.REQUESTED: frozenset({State.RUNNING}) | _STOPS,
    State.RUNNING: frozenset({State.AWAITING_APPROVAL, State.NEEDS_ATTENTION, State.COMPLETED}) | _STOPS,
    # Back to running: approved, or something new was found and the evidence is void.
    State.AWAITING_APPROVAL: frozenset({State.RUNNING, State.NEEDS_ATTENTION, State.REJECTED, State.EXPIRED}) | _STOPS,
    State.NEEDS_ATTENTION: frozenset({State.RUNNING}) | _STOPS,
    **{state: frozenset() for state in (State.COMPLETED, State.REJECTED, State.EXPIRED, State.ABORTED, State.FAILED)},
}


def check_transition(source: State, target: State, transitions: Mapping[State, frozenset[State]] = TRANSITIONS) -> None:
    """Raise :class:`InvalidTransitionError` unless the table, by default a rotation's, allows the step."""
    ways = transitions.get(source, frozenset())
    if target not in ways:
        raise InvalidTransitionError(
            f"a run cannot go from {source} to {target}", source=source, target=target, allowed=sorted(ways)
        )
