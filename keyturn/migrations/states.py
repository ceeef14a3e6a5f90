"""The ways of a migration between the states, as data. Its states are a subset of a run's."""

from collections.abc import Mapping

from keyturn.rotation.states import State

_STOPS = frozenset({State.ABORTED, State.FAILED})

MIGRATION_TRANSITIONS: Mapping[State, frozenset[State]] = {
    State.REQUESTED: frozenset({State.RUNNING}) | _STOPS,
    State.RUNNING: frozenset({State.AWAITING_APPROVAL, State.NEEDS_ATTENTION, State.COMPLETED}) | _STOPS,
    # Back to running: approved, or something new was found and the evidence is void.
    State.AWAITING_APPROVAL: frozenset({State.RUNNING, State.REJECTED, State.EXPIRED}) | _STOPS,
    State.NEEDS_ATTENTION: frozenset({State.RUNNING}) | _STOPS,
    **{state: frozenset() for state in (State.COMPLETED, State.REJECTED, State.EXPIRED, State.ABORTED, State.FAILED)},
}
