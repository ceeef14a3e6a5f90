"""The rights that the page gives for working without the app are enough, and none of them is one too many."""

import json
import re
from typing import Any

import pytest

from local.identity.roles import CONTAINERS, COSMOS, KEYS, ROLES, assigned, container
from local.supervisor import LocalAzure
from local.supervisor.environment import COSMOS_DATABASE, DEK_CONTAINER, NOTES_CONTAINER, RUN_CONTAINER
from tests.end_to_end.app_harness import AppHarness
from tests.end_to_end.command_line import REPOSITORY, Ended, keyturn

pytestmark = [pytest.mark.end_to_end, pytest.mark.usefixtures("tidied"), pytest.mark.long]

PRINCIPAL = "principals/break-glass"
PAGE = (REPOSITORY / "infra" / "README.md").read_text()


def on(name: str, action: str) -> str:
    """Return the right to do something in one container."""
    return f"{CONTAINERS}/{action}@{container(COSMOS_DATABASE, name)}"


# The command that each right is for.
RIGHTS = {
    f"{KEYS}/read": "rewrap",
    f"{KEYS}/unwrap/action": "rewrap",
    f"{KEYS}/update/action": "reinstate",
    f"{COSMOS}/readMetadata": "rewrap",
    **{on(DEK_CONTAINER, action): "rewrap" for action in ("items/read", "items/replace")},
    **{on(DEK_CONTAINER, action): "rewrap" for action in ("executeQuery", "readChangeFeed")},
    **{on(RUN_CONTAINER, action): "rewrap" for action in ("items/create", "items/read", "items/replace")},
    **{on(RUN_CONTAINER, action): "rollback" for action in ("executeQuery", "readChangeFeed")},
    on(NOTES_CONTAINER, "items/read"): "diagnose in a partition",
    **{on(NOTES_CONTAINER, action): "diagnose" for action in ("executeQuery", "readChangeFeed")},
}


def documented() -> list[str]:
    """Return the data actions of the page: the role on the key, and the roles on the containers."""
    section = PAGE.partition("## Rights to work without the app")[2].partition("\n## ")[0]
    asked = re.sub(r"""'"\$\(.*?\)"'""", "answer", section)  # what the shell puts in of another command
    role: dict[str, Any] = json.loads(re.findall(r"'(\{.*?\})'", asked, flags=re.DOTALL)[0])
    assert role["Name"] == "Keyturn break-glass"
    on_containers = {
        "Keyturn dek store": DEK_CONTAINER,
        "Keyturn records": RUN_CONTAINER,
        "Keyturn documents": NOTES_CONTAINER,
    }
    assert {name for name in ROLES if f"| {name} |" in section} == {"Keyturn metadata", *on_containers}
    scoped = [
        right for name, where in on_containers.items() for right in assigned(name, container(COSMOS_DATABASE, where))
    ]
    return [*role["DataActions"], *assigned("Keyturn metadata"), *scoped]


async def as_operator(azure: LocalAzure, app: AppHarness, rights: list[str], *arguments: str) -> Ended:
    """Run a command of `keyturn direct` as an operator with exactly these rights."""
    held = app.control("identity", "PUT", PRINCIPAL, json={"roles": rights})
    return await keyturn(azure, "direct", *arguments, IDENTITY_HEADER=held["header"])


@pytest.mark.timeout(900)
async def test_the_documented_rights_are_enough_and_each_is_needed(azure: LocalAzure, app: AppHarness) -> None:
    """Without the app: rows are moved, counted, diagnosed and rolled back, and a retirement is taken back."""
    rights = documented()
    assert sorted(rights) == sorted(RIGHTS)
    completed = await app.rotate()
    note = await anext(aiter(app.notes.read_all_items()))
    document = ("diagnose", "document", note["id"], "--container", NOTES_CONTAINER)
    commands = {
        "rewrap": ("rewrap",),
        "reinstate": ("reinstate", completed["rotationId"]),
        "rollback": ("rollback", completed["rotationId"]),
        "diagnose": document,
        "diagnose in a partition": (*document, "--partition", note["workspaceId"]),
    }
    azure.processes["functions_host"].kill()
    try:
        for name in ("reinstate", "rollback"):
            await check_refused(azure, app, rights, {name: commands[name]})
            ended = await as_operator(azure, app, rights, *commands[name])
            assert ended.code == 0, (name, ended)
        after = ("rewrap", "diagnose", "diagnose in a partition")
        await app.keys.create_rsa_key(app.mek_name, size=2048)
        await check_refused(azure, app, rights, {name: commands[name] for name in after})
        for command in (*(commands[name] for name in after), ("census",), ("versions",)):
            ended = await as_operator(azure, app, rights, *command)
            assert ended.code == 0, (command, ended)
    finally:
        azure.start("functions_host")
    assert await app.unreadable_notes() == []


async def check_refused(
    azure: LocalAzure, app: AppHarness, rights: list[str], commands: dict[str, tuple[str, ...]]
) -> None:
    """Each command fails without each of the rights that are for it: a right is missing, says the exit code."""
    for right in [found for found, needed_by in RIGHTS.items() if needed_by in commands]:
        left = [held for held in rights if held != right]
        refused = await as_operator(azure, app, left, *commands[RIGHTS[right]])
        assert refused.code == 78, (right, refused)
