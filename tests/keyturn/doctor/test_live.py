"""The report of a rehearsal: what was seen, what was not, and no name that is to be hidden."""

from collections.abc import Callable

import pytest

from keyturn.doctor.live import BY_HAND, LIVE_CHECKS, mask_of, names_in, report, require_throwaway
from keyturn.errors import InvalidRequestError
from keyturn.preflight.results import CheckResult, Outcome, ok, problem, unchecked, warning

GROUP = "rg-keyturn-rehearsal"
ACCOUNT = (
    f"/subscriptions/3b8f1c1e-52a4-4d0c-9d5e-7a6b5c4d3e2f/resourceGroups/{GROUP}"
    "/providers/Microsoft.DocumentDB/databaseAccounts/cosmos-abc"
)
SETTINGS = {
    "AZURE_KEYVAULT_URL": "https://kv-abc.vault.azure.net",
    "KEYTURN_COSMOS_RESOURCE_ID": ACCOUNT,
    "FIELD_ENCRYPT_MEK_NAME": "notelett-mek",
    "COSMOS_DATABASE": "app",
    "KEYTURN_DOCUMENTS": '[{"name": "patients", "fields": ["name"]}]',
}


def written(*results: CheckResult, hide: Callable[[str], str] = str) -> str:
    """Return the report of these results."""
    return report(results, GROUP, "Keyturn 0.1.0", hide)


def row(text: str, name: str) -> str:
    """Return the report's row of an assumption."""
    [line] = [line for line in text.splitlines() if line.startswith(f"| `{name}` |")]
    return line


@pytest.mark.parametrize(
    ("found", "word"),
    [
        ([ok("x")], "passed"),
        ([problem("x", "y")], "FAILED"),
        ([warning("x", "y")], "warning"),
        ([unchecked("x")], "not run"),
        ([], "not run"),
        ([ok("x"), unchecked("y")], "passed"),
        ([unchecked("x"), ok("y"), problem("z", "")], "FAILED"),
    ],
)
def test_what_was_not_seen_has_not_passed(found: list[CheckResult], word: str) -> None:
    """The worst of what was found; nothing found, or not to be found out, is not run."""
    text = written(*(result.named("kv_list_pages") for result in found))

    assert row(text, "kv_list_pages").startswith(f"| `kv_list_pages` | {word} |")
    passed = 1 if word == "passed" else 0
    assert f"{passed} passed," in text


def test_steps_by_hand_come_with_their_commands() -> None:
    """In their order, with the group that was given; each recorded as not run."""
    text = written()

    places = [text.index(f"(`{step.id}`)") for step in LIVE_CHECKS]
    assert places == sorted(places)
    assert f"az group delete --name {GROUP}" in text
    assert "{resource_group}" not in text
    assert {row(text, name).split(" | ")[1] for name in BY_HAND} == {"not run"}


def test_names_are_hidden_alike_everywhere() -> None:
    """A name, its host and every id become numbers; words that every deployment has stay."""
    mask = mask_of([GROUP, *names_in(SETTINGS)])
    said = f"delete --id https://kv-abc.vault.azure.net/keys/notelett-mek/{'a' * 32} of kv-abc in app, patients"
    text = written(problem(said, "ask KV-ABC").named("kv_limits"), ok(ACCOUNT).named("reach_cosmos", "a|b"), hide=mask)

    for name in ("kv-abc", "notelett-mek", "patients", GROUP, "cosmos-abc", "3b8f1c1e", "a" * 32):
        assert name not in text.lower()
    assert row(text, "kv_limits").count("<name-") == 6
    assert " in app, <name-" in row(text, "kv_limits")
    assert "a\\|b" in text


def test_without_a_mask_names_are_shown() -> None:
    """The report says where something was seen."""
    assert "https://kv-abc.vault.azure.net" in written(ok("https://kv-abc.vault.azure.net").named("kv_limits"))


@pytest.mark.parametrize("group", ["", "rg-keyturn-prod", "rg-keyturn"])
def test_a_group_that_the_account_is_not_in_is_refused(group: str) -> None:
    """No probe meets a deployment that was not named as one to be thrown away."""
    with pytest.raises(InvalidRequestError, match="--resource-group: expected the group"):
        require_throwaway(SETTINGS, group)

    require_throwaway(SETTINGS, GROUP.upper())


def test_outcomes_have_words() -> None:
    """None is left out of the count."""
    counted = written().partition("assumptions: ")[2].partition(".")[0]

    assert len(counted.split(", ")) == len(Outcome)
