"""What becomes of an activity's failures at its edge, where durable history begins."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from activities import boundary
from field_encrypt.errors import DekNotFoundError, InvalidRowError
from keyturn.contracts.base import RunInput
from keyturn.errors import InvariantError, SettingsError, UnavailableError

PAYLOAD = {"run": {"rotationId": "notes.20261124T120000Z.abcdef", "keyring": "notes", "fencingToken": 1}}
SECRET = "what a foreign text may quote"


async def outcome(monkeypatch: pytest.MonkeyPatch, error: Exception, payload: dict[str, Any] | None = None) -> Any:
    """Run work that fails with the error and return the envelope."""

    async def nothing() -> None:
        return None

    async def work(_request: RunInput, _resources: object) -> RunInput:
        raise error

    monkeypatch.setattr(boundary, "process_resources", nothing)
    return await boundary._run("work", RunInput, work, PAYLOAD if payload is None else payload)


@pytest.mark.parametrize(
    ("error", "recoverable"),
    [
        (SettingsError("COSMOS_ENDPOINT is missing"), True),
        (DekNotFoundError("d-1"), True),
        (InvariantError("two and two are five"), False),
        (InvalidRowError("d-1", "wrappedDek", "base64"), False),
    ],
)
async def test_a_permanent_failure_is_a_value(
    monkeypatch: pytest.MonkeyPatch, error: Exception, *, recoverable: bool
) -> None:
    """What repeating does not fix goes back in the envelope, and whether an operator can put it right."""
    failure = (await outcome(monkeypatch, error))["failure"]

    assert (failure["errorType"], failure["recoverable"]) == (type(error).__name__, recoverable)
    assert failure["message"] == str(error)


@pytest.mark.parametrize(("minutes", "expected"), [(-1, "LateError"), (1, "InvariantError"), (None, "InvariantError")])
async def test_an_activity_that_comes_too_late_does_nothing(
    monkeypatch: pytest.MonkeyPatch, minutes: int | None, expected: str
) -> None:
    """Its input says until when it may work; an input of an earlier release does not."""
    until = None if minutes is None else (datetime.now(UTC) + timedelta(minutes=minutes)).isoformat()

    envelope = await outcome(monkeypatch, InvariantError("it was run"), {**PAYLOAD, "notAfter": until})

    assert (envelope["failure"]["errorType"], envelope["failure"]["recoverable"]) == (expected, False)


@pytest.mark.parametrize("error", [UnavailableError("away"), OSError(SECRET), TimeoutError(SECRET)])
async def test_a_transient_failure_is_raised(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """What repeating may fix is raised as ours, without the foreign text."""
    with pytest.raises(UnavailableError) as raised:
        await outcome(monkeypatch, error)

    assert SECRET not in str(raised.value)
    assert raised.value.__cause__ is None


async def test_a_defect_is_a_value_without_its_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """An unexpected error names its type and place, and nothing of what it says."""
    envelope = await outcome(monkeypatch, KeyError(SECRET))

    assert (envelope["failure"]["errorType"], envelope["failure"]["recoverable"]) == ("KeyError", False)
    assert "test_boundary.py" in envelope["failure"]["message"]
    assert SECRET not in str(envelope)


async def test_a_payload_of_another_kind_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A payload that the activity does not know fails for good and names the property."""
    envelope = await outcome(monkeypatch, AssertionError(), {**PAYLOAD, "surplus": 1})

    assert envelope["failure"]["errorType"] == "InvariantError"
    assert "surplus" in envelope["failure"]["message"]


@pytest.mark.parametrize(
    "payload", [PAYLOAD, {"rotationId": "notes.20261124T120000Z.abcdef", "keyring": "notes", "fencingToken": 1}]
)
async def test_a_run_is_named_by_its_ref_or_as_release_0_1_did(payload: dict[str, Any]) -> None:
    """Durable history of a run that the release before began holds the run's three properties beside the others."""
    request = RunInput.from_payload(payload)

    assert request.run.to_payload() == PAYLOAD["run"]
    assert request.to_payload() == {**PAYLOAD, "notAfter": None}
