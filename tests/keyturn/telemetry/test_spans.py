"""One trace a rotation: whatever process adds to it, whenever, and however often."""

import pytest
from opentelemetry import trace
from opentelemetry.trace import StatusCode

from keyturn.contracts.base import RunInput, RunRef
from keyturn.errors import UnavailableError
from keyturn.telemetry import names
from keyturn.telemetry.signals import activity_span, root_of, state_of
from tests.keyturn.telemetry.recorded import Recorded, attributes_of, parent_of

REF = RunRef(run_id="notes.20260301T030000Z.abcdef", keyring="notes", fencing_token=3)
OTHER = REF.model_copy(update={"run_id": "notes.20260401T030000Z.abcdef"})


def test_a_rotations_ids_are_the_same_in_every_process() -> None:
    """The ids follow from the rotation's id alone, and no two rotations or states share one."""
    ids = [root_of(REF.run_id), root_of(OTHER.run_id)]
    states = [state_of(REF.run_id, step) for step in (0, 1)]

    assert ids[0].trace_id == 0x3E9AA566C109486A44A252442F08020E
    assert len({found.trace_id for found in ids}) == 2
    assert {found.trace_id for found in states} == {ids[0].trace_id}
    assert len({ids[0].span_id, *(found.span_id for found in states)}) == 3


def test_an_activity_is_a_span_below_its_rotation(recorded: Recorded) -> None:
    """The span has the rotation, the keyring and the activity; its parent is the rotation's own span."""
    with activity_span("rewrap_page", RunInput(run=REF)):
        pass

    [span] = recorded.spans()
    root = root_of(REF.run_id)
    assert span.name == "activity rewrap_page"
    assert (span.context.trace_id, parent_of(span).span_id) == (root.trace_id, root.span_id)
    assert attributes_of(span)[names.ROTATION] == REF.run_id
    assert attributes_of(span)[names.KEYRING] == "notes"


def test_a_second_run_is_a_second_span_with_the_same_facts(recorded: Recorded) -> None:
    """An activity that is run again has the same attributes, so that runs of the same step are found."""
    for _ in range(2):
        with activity_span("rewrap_page", RunInput(run=REF)):
            pass

    first, second = recorded.spans()
    assert attributes_of(first) == attributes_of(second)
    assert first.context.span_id != second.context.span_id


def test_the_platforms_own_span_is_linked(recorded: Recorded) -> None:
    """Each generation of a workflow has a trace of the platform's; the link ties it to the rotation's."""
    platform = trace.get_tracer("the platform")

    with (
        platform.start_as_current_span("orchestration, generation 2") as generation,
        activity_span("verify", RunInput(run=REF)),
    ):
        pass

    [span] = recorded.spans(root_of(REF.run_id).trace_id)
    assert [link.context.trace_id for link in span.links] == [generation.get_span_context().trace_id]
    assert generation.get_span_context().trace_id != span.context.trace_id


def test_a_failure_is_exported_by_its_type_alone(recorded: Recorded) -> None:
    """What was raised goes on; its text, which may quote a request, is in no span."""
    with pytest.raises(UnavailableError), activity_span("verify", RunInput(run=REF)):
        raise UnavailableError("a quoted secret", resource="the vault")

    [span] = recorded.spans()
    assert span.status.status_code is StatusCode.ERROR
    assert attributes_of(span)[names.ERROR_TYPE] == "UnavailableError"
    assert "secret" not in span.to_json()


def test_how_long_an_activity_takes_is_measured(recorded: Recorded) -> None:
    """Every run counts, with its outcome."""
    with activity_span("rewrap_page", RunInput(run=REF)):
        pass
    with pytest.raises(TimeoutError), activity_span("rewrap_page", RunInput(run=REF)):
        raise TimeoutError

    assert recorded.metric(names.ACTIVITY_SECONDS) == {
        ("notes", "rewrap_page", "ok"): 1,
        ("notes", "rewrap_page", "error"): 1,
    }
