"""What only the app's identity and network show, and the time that an examination over HTTP has."""

import pytest

from keyturn.doctor.deployment import check_sign_in
from keyturn.preflight.results import Outcome
from tests.keyturn.doctor.conftest import Clinic, armed
from tests.keyturn.settings.environment import settings_of

pytestmark = pytest.mark.xdist_group("doctor")


def outcome(lines: list[dict[str, str]], name: str) -> str:
    """Return how a check ended."""
    [found] = [line["outcome"] for line in lines if line["id"] == name]
    return found


def test_a_list_at_key_scope(clinic: Clinic) -> None:
    """Refused another key, and given the versions of its own: the assumption holds; any other answer leaves it open."""
    whole_vault = outcome(clinic.examine(), "kv_list_at_key_scope")
    refused = {"operation": "get", "kind": "status", "status": 403, "match": "keyturn-doctor-"}
    with armed(clinic, "key_vault", **refused):
        key_alone = outcome(clinic.examine(), "kv_list_at_key_scope")

    assert (whole_vault, key_alone) == ("unchecked", "ok")


def test_a_batch_needs_the_right_to_replace(clinic: Clinic) -> None:
    """As the app, which may not create rows, a batch is answered with 404; an operator's answer shows nothing."""
    operator = clinic.examine(clinic.azure.client_environment("operator"))

    assert outcome(clinic.examine(), "cosmos_batch_right") == "ok"
    assert outcome(operator, "cosmos_batch_right") == "unchecked"


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"KEYTURN_ACCESS": "keys"}, Outcome.UNCHECKED),
        ({"KEYTURN_ACCESS": "entra"}, Outcome.UNCHECKED),
        ({"KEYTURN_ACCESS": "entra", "WEBSITE_AUTH_ENABLED": "True"}, Outcome.OK),
    ],
)
def test_the_platforms_word_on_sign_in(variables: dict[str, str], expected: Outcome) -> None:
    """Only where the platform says so is it seen; a desk, which is not told, does not fail for it."""
    assert check_sign_in(settings_of(**variables)).outcome is expected


def test_what_there_is_no_time_for_is_not_sound(clinic: Clinic) -> None:
    """An examination that must end before it has looked says so: nothing of vault or database is ok, and it ends."""
    lines = clinic.examine(seconds=0)
    late = [line for line in lines if line["detail"].startswith("not looked at")]

    assert late
    assert {line["outcome"] for line in late} == {"problem"}
    assert [line["id"] for line in lines if line["outcome"] == "ok" and line["id"].startswith(("kv_", "cosmos_"))] == []
