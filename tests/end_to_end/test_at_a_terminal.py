"""People at terminals of 80 columns, against the local app: they log in, watch, decide and are told what is next."""

import asyncio
import re
from pathlib import Path

import pytest

from local.functions_host.sign_in import AUDIENCE
from tests.end_to_end.app_harness import AppHarness
from tests.end_to_end.command_line import keyturn, operator_environment
from tests.end_to_end.guarded import OPERATOR, READER, GuardedApp
from tests.keyturn.cli.terminal import Terminal, width_of_words

pytestmark = [pytest.mark.end_to_end, pytest.mark.long]

SAM = {"KEYTURN_BY": "sam@example.com", "KEYTURN_BY_ID": ""}


def terminal_of(app: AppHarness, *arguments: str, **environment: str) -> Terminal:
    """Run a command in a terminal of the operator's desk."""
    return Terminal(*arguments, env={**operator_environment(app.azure), **environment})


def states(person: Terminal) -> list[str]:
    """Return the states that a watching person has seen, in order."""
    stamped = [re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ ([a-z ]+)", line) for line in person.everything]
    return [found[1] for found in stamped if found]


def words(person: Terminal) -> str:
    """Return everything that was on the screen, without its columns and line ends."""
    return " ".join(" ".join(person.everything).split())


async def test_a_rotation_is_watched_and_approved(app: AppHarness) -> None:
    """From the request to its end, by two people who type nothing but the commands that they were told."""
    old = await app.newest_version()
    asked = await keyturn(app.azure, "rotate", "--reason", "monthly")
    run_id = asked.out.strip()
    assert asked.err.splitlines()[-1].strip() == f"keyturn watch {run_id}"

    with terminal_of(app, "watch") as dana, width_of_words(dana):
        assert await asyncio.to_thread(dana.end) == 0
    with terminal_of(app, "approve", run_id, **SAM) as sam, width_of_words(sam):
        await asyncio.to_thread(sam.until, "Approve, as sam@example.com? [y/N]: ")
        sam.say("y")
        assert await asyncio.to_thread(sam.end) == 0
    with terminal_of(app, "watch", run_id) as dana_again, width_of_words(dana_again):
        assert await asyncio.to_thread(dana_again.end) == 0

    assert states(dana)[-2:] == ["soaking", "awaiting approval"]
    assert "waits for a decision by another person than dana@example.com, until" in words(dana)
    assert any("approved; the old version is disabled next, then watched for" in line for line in sam.everything)
    assert states(dana_again)[-1] == "completed"
    assert not (await app.versions())[old]


async def test_a_rotation_is_rejected(app: AppHarness) -> None:
    """The twin of approving: it wants to know why, and nothing is disabled."""
    old = await app.newest_version()
    run_id = await app.start()
    await app.callers.wait_for(run_id, "awaiting_approval")

    silent = await keyturn(app.azure, "reject", run_id, "--yes", **SAM)
    own = await keyturn(app.azure, "reject", run_id, "--yes", "--comment", "mine")
    done = await keyturn(app.azure, "reject", run_id, "--yes", "--comment", "not this week", **SAM)
    ended = await app.callers.wait_for(run_id, "rejected")

    assert (silent.code, own.code, done.code) == (64, 77, 0)
    assert ended["decision"]["comment"] == "not this week"
    assert (await app.versions())[old]


async def test_a_retry_and_an_abort_are_waited_for(app: AppHarness) -> None:
    """Whoever follows the command that they were told does not see the state that they have just answered."""
    row_id = await app.add_row(await app.newest_version())
    row = await app.row(row_id)
    await app.rows.replace_item(row_id, {**row, "wrappedDek": "AAAA"})
    run_id = await app.start()
    await app.callers.wait_for(run_id, "needs_attention")

    app.arm("functions_host", kind="hold", operation="read_command", count=None)
    again = await keyturn(app.azure, "retry", run_id)
    with terminal_of(app, "watch", run_id) as dana:
        await asyncio.to_thread(dana.until_shown, "the retry of dana@example.com to take effect")
        app.release("functions_host")
        code = await asyncio.to_thread(dana.end)
    given_up = await keyturn(app.azure, "abort", run_id)
    ended = await keyturn(app.azure, "watch", run_id)
    await app.rows.replace_item(row_id, row)

    assert "retry asked; it goes on with what is left" in again.err
    assert (code, states(dana)[-1]) == (73, "needs attention")
    assert "waits for an operator, to retry or to abort" in words(dana)
    assert "abort asked; it ends within a minute" in given_up.err
    assert "aborted" in ended.out.splitlines()[-1]


@pytest.mark.xdist_group("guarded")
async def test_an_operator_who_signs_in(guarded: GuardedApp, tmp_path: Path) -> None:
    """A login says who they are to the app, and later commands need nothing but the context."""
    rights = {"roles": [READER, OPERATOR], "header": "olga"}
    guarded.control("identity", "PUT", "principals/olga@example.com", json=rights)
    known = {"KEYTURN_URL": "", "KEYTURN_FUNCTION_KEY": "", "KEYTURN_BY": "", "XDG_CONFIG_HOME": str(tmp_path)}
    olga = {**known, "IDENTITY_HEADER": "olga", "LOCAL_KEY": guarded.azure.endpoints()["functionKey"]}
    there = ("--url", guarded.azure.endpoints()["functionsUrl"], "--function-key-env", "LOCAL_KEY")
    unknown = await keyturn(guarded.azure, "login", "local", *there, **olga)

    login = ("login", "local", *there, "--token-scope", f"{AUDIENCE}/.default", "--keyring", guarded.keyring)
    known_now = await keyturn(guarded.azure, *login, **olga)
    listed = await keyturn(guarded.azure, "keyrings", **olga)
    opened = await keyturn(guarded.azure, "open", **olga)

    assert unknown.code == 77
    assert "KEYTURN_TOKEN_SCOPE" in unknown.err
    assert known_now.code == 0, known_now.err
    assert f"you are olga@example.com, with the roles {READER}, {OPERATOR}" in known_now.out
    assert (listed.code, opened.out) == (0, f"{guarded.azure.endpoints()['functionsUrl']}/api/console\n")
    assert olga["LOCAL_KEY"] not in (tmp_path / "keyturn" / "config.toml").read_text()
