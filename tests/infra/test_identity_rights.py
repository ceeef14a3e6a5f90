"""The rights of the app's identity: in the templates, in the README's table, and in the code that needs them."""

import ast
import json
import re
from collections.abc import Iterable, Iterator

from local.cosmos.operations import ACTIONS
from local.identity import roles as local_roles
from local.supervisor.tenant import DOCUMENT_MIGRATIONS, DRILL, PRINCIPALS
from tests.infra.readme import table
from tests.infra.snapshots import ROLES, ROOT, Resource, Snapshot

ASSIGNMENT = "Microsoft.Authorization/roleAssignments"
COSMOS_ASSIGNMENT = "Microsoft.DocumentDB/databaseAccounts/sqlRoleAssignments"
ROTATOR = "Keyturn rotator"
DRILLS = "Keyturn key drill"

# How the README's table names the scope of an assignment, by the type of the resource that it is made on.
SCOPES = {
    "Microsoft.KeyVault/vaults/keys": "the MEK",
    "Microsoft.KeyVault/vaults/secrets": "the app's secrets",
    "Microsoft.KeyVault/vaults": "the drill vault",
    "Microsoft.DocumentDB/databaseAccounts": "the Cosmos DB account",
    "Microsoft.Storage/storageAccounts": "the host's storage account",
    "Microsoft.DurableTask/schedulers/taskHubs": "the task hub",
    "Microsoft.Insights/components": "Application Insights",
}

# The same for the containers of the local account.
LOCAL_SCOPES = {
    "dbs/keyturn/colls/dek_store": "the dek store",
    "dbs/keyturn/colls/keyturn": "the container `keyturn`",
    "dbs/keyturn/colls/notes": "the containers in `documents`",
}

# Azure's own roles with a large name that the identity holds; infra/README.md says what for.
LARGE = {"Storage Blob Data Owner", "Durable Task Data Contributor"}


def test_the_table_is_what_the_templates_grant(snapshots: dict[str, Snapshot]) -> None:
    """Right, role and scope in the README's table are those of the templates, row for row."""
    documented = [
        (right.strip("`"), role, scope) for right, role, scope, _ in table("Every right of the app's identity")
    ]

    assert sorted(_granted(snapshots.values())) == sorted(documented)


def test_every_right_has_its_code_path() -> None:
    """What the table names as the code that needs a right is there, or the table says why there is none."""
    missing = []
    for right, role, _, path in table("Every right of the app's identity"):
        named = re.findall(r"`(\w[\w/]*\.py)` `(\w+)`", path)
        missing += [f"{role}, {right}: {file} {name}" for file, name in named if name not in _definitions(file)]
        missing += [f"{role}, {right}"] if not named and not re.match(r"none[^:]*: \S.{20,}", path) else []

    assert missing == []


def test_no_large_role_but_the_listed(snapshots: dict[str, Snapshot]) -> None:
    """No Officer, Owner, Contributor or Administrator is assigned but those that are listed."""
    large = {
        role
        for _, role, _ in _granted(snapshots.values())
        if re.search("Officer|Owner|Contributor|Administrator", role)
    }

    assert large == LARGE


def test_nothing_can_be_deleted_or_purged(snapshots: dict[str, Snapshot]) -> None:
    """The roles that are defined here name each action in full, and none that deletes, purges, restores or upserts.

    But for a copy of the key, in the drill vault: the role for that is assigned there alone.
    """
    roles = {_role_name(role): set(_actions(role)) for role in _defined_roles(snapshots.values())}
    drills = {scope for _, role, scope in _granted(snapshots.values()) if role == DRILLS}
    allowed = {f"{local_roles.KEYS}/{action}" for action in ("delete", "purge/action", "restore/action")}
    pattern = r"\*|delete|purge|restore|recover|upsert|write"
    forbidden = {name: {action for action in actions if re.search(pattern, action)} for name, actions in roles.items()}

    assert forbidden.pop(DRILLS) == allowed
    assert drills == {"the drill vault"}
    assert roles.keys() > {DRILLS}
    assert set().union(*forbidden.values()) == set()


def test_every_assignment_is_to_the_identity(snapshots: dict[str, Snapshot]) -> None:
    """Roles go to the app's identity and to nobody else."""
    for snapshot in snapshots.values():
        identity = snapshot.one("Microsoft.ManagedIdentity/userAssignedIdentities")
        expected = f"[reference('{identity.id}', '{identity.body['apiVersion']}').principalId]"

        assert {assignment.properties["principalId"] for assignment in _assignments(snapshot)} == {expected}


def test_what_if_can_name_every_assignment(snapshots: dict[str, Snapshot]) -> None:
    """Names are made of what is known before anything is deployed: others are left out of a preview."""
    unknown = [
        assignment.id
        for snapshot in snapshots.values()
        for assignment in _assignments(snapshot)
        if "[" in assignment.id or "[" in assignment.name
    ]

    assert unknown == []


def test_the_local_azure_gives_the_same_rights(snapshots: dict[str, Snapshot]) -> None:
    """What the tests run with is what is deployed: the app's local roles are the templates', scopes and all."""
    deployed = {_role_name(role): sorted(_actions(role)) for role in _defined_roles(snapshots.values())}
    assigned = {(role, scope) for _, role, scope in _granted(snapshots.values()) if role in deployed}
    local = [*PRINCIPALS["keyturn"], *DOCUMENT_MIGRATIONS, *DRILL]

    assert {name: sorted(local_roles.ROLES[name]) for name, _ in local} == deployed
    assert {(name, LOCAL_SCOPES[scope]) for name, scope in local if scope} | {
        (ROTATOR, "the MEK"),
        (DRILLS, "the drill vault"),
        ("Keyturn backup check", "the Cosmos DB account"),
        ("Keyturn metadata", "the Cosmos DB account"),
    } == assigned


def test_documents_cannot_be_changed_unless_it_is_asked_for(snapshots: dict[str, Snapshot]) -> None:
    """What only a migration of documents needs is granted where documentMigrations says so, and nowhere else."""
    asked = snapshots["existing"]
    others = [snapshot for snapshot in snapshots.values() if snapshot is not asked]
    needed = {("create", "the dek store"), ("replace", "the containers in `documents`")}
    granted = {(right.rpartition("/")[2], scope) for right, _, scope in _granted([asked])}
    left = {(right.rpartition("/")[2], scope) for right, _, scope in _granted(others)}

    assert needed <= granted
    assert needed & left == set()


def test_cosmos_actions_exist(snapshots: dict[str, Snapshot]) -> None:
    """Each data action on Cosmos DB is one that the local service, too, asks for."""
    known = {action for needed in ACTIONS.values() if needed is not None for action in needed}
    granted = {
        action
        for role in _defined_roles(snapshots.values())
        if role.type.endswith("sqlRoleDefinitions")
        for action in _actions(role)
    }

    assert granted - known == set()


def _granted(snapshots: Iterable[Snapshot]) -> set[tuple[str, str, str]]:
    """Return (right, role, scope) of every assignment in any of the variants."""
    return {grant for snapshot in snapshots for grant in _granted_in(snapshot)}


def _granted_in(snapshot: Snapshot) -> Iterator[tuple[str, str, str]]:
    defined = {role.id: role for role in _defined_roles([snapshot])}
    for assignment in _assignments(snapshot):
        role_id = assignment.properties["roleDefinitionId"]
        if role_id in defined:
            role = defined[role_id]
            for action in _actions(role):
                yield action, _role_name(role), _scope(snapshot, assignment)
        else:
            [key] = [name for name, guid in ROLES.items() if role_id.endswith(f"/roleDefinitions/{guid}")]
            name = next(name for name in _built_in_names() if _key(name) == key)
            yield name, name, _scope(snapshot, assignment)


def _assignments(snapshot: Snapshot) -> list[Resource]:
    return [*snapshot.of_type(ASSIGNMENT), *snapshot.of_type(COSMOS_ASSIGNMENT)]


def _scope(snapshot: Snapshot, assignment: Resource) -> str:
    """Return the README's words for what an assignment is made on."""
    if assignment.type == ASSIGNMENT:
        resource, _, _ = assignment.id.rpartition("/providers/Microsoft.Authorization/")
        kind, *names = resource.rpartition("/providers/")[2].split("/")
        return SCOPES["/".join([kind, *names[::2]])]
    _, has_container, container = assignment.properties["scope"].partition("/colls/")
    if not has_container:
        return SCOPES["Microsoft.DocumentDB/databaseAccounts"]
    named = {
        snapshot.settings["DEK_CONTAINER"]: "the dek store",
        snapshot.settings["KEYTURN_CONTAINER"]: "the container `keyturn`",
    }
    documents = [item["name"] for item in json.loads(snapshot.settings["KEYTURN_DOCUMENTS"])]
    place: str = (named | dict.fromkeys(documents, "the containers in `documents`"))[container]
    return place


def _defined_roles(snapshots: Iterable[Snapshot]) -> Iterator[Resource]:
    for snapshot in snapshots:
        for kind in (
            "Microsoft.Authorization/roleDefinitions",
            "Microsoft.DocumentDB/databaseAccounts/sqlRoleDefinitions",
        ):
            yield from snapshot.of_type(kind)


def _role_name(role: Resource) -> str:
    return str(role.properties["roleName"]).partition(" (")[0]


def _actions(role: Resource) -> list[str]:
    return [
        action
        for permission in role.properties["permissions"]
        for kind in ("actions", "dataActions")
        for action in permission.get(kind, [])
    ]


def _built_in_names() -> list[str]:
    return [role for _, role, _, _ in table("Every right of the app's identity") if _key(role) in ROLES]


def _key(role: str) -> str:
    first, *others = role.split()
    return "".join([first.lower(), *others])


def _definitions(file: str) -> set[str]:
    tree = ast.parse((ROOT / file).read_text())
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return {node.name for node in ast.walk(tree) if isinstance(node, kinds)}
