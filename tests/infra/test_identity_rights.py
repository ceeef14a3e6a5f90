"""The rights of the app's identity: in the templates, in the README's table, and in the code that needs them."""

import ast
import re
from collections.abc import Iterator

from local.cosmos.operations import ACTIONS
from local.identity import roles as local_roles
from local.supervisor.tenant import DOCUMENT_MIGRATIONS, PRINCIPALS
from tests.infra.bicep import ROLES, ROOT, Resource, Template, accessor, walk
from tests.infra.readme import table

ASSIGNMENT = "Microsoft.Authorization/roleAssignments"
COSMOS_ASSIGNMENT = "Microsoft.DocumentDB/databaseAccounts/sqlRoleAssignments"
ROTATOR = "Keyturn rotator"

# How the README's table names the scope of an assignment, by the resource or the container that it is made on.
SCOPES = {
    "Microsoft.KeyVault/vaults/keys": "the MEK",
    "Microsoft.KeyVault/vaults/secrets": "the webhook's secret",
    "Microsoft.DocumentDB/databaseAccounts": "the Cosmos DB account",
    "Microsoft.Storage/storageAccounts": "the host's storage account",
    "Microsoft.DurableTask/schedulers/taskHubs": "the task hub",
    "Microsoft.Insights/components": "Application Insights",
    "${database}/colls/${dekContainer}": "the dek store",
    "${database}/colls/${recordsContainer}": "the container `keyturn`",
    "${database}/colls/${container.name}": "the containers in `documents`",
}

# The same for the containers of the local account.
LOCAL_SCOPES = {
    "dbs/keyturn/colls/dek_store": "the dek store",
    "dbs/keyturn/colls/keyturn": "the container `keyturn`",
    "dbs/keyturn/colls/notes": "the containers in `documents`",
}

# Azure's own roles with a large name that the identity holds; infra/README.md says what for.
LARGE = {"Storage Blob Data Owner", "Durable Task Data Contributor"}


def test_the_table_is_what_the_templates_grant(templates: dict[str, Template]) -> None:
    """Right, role and scope in the README's table are those of the templates, row for row."""
    documented = [
        (right.strip("`"), role, scope) for right, role, scope, _ in table("Every right of the app's identity")
    ]

    assert sorted(_granted(templates)) == sorted(documented)


def test_every_right_has_its_code_path() -> None:
    """What the table names as the code that needs a right is there, or the table says why there is none."""
    missing = []
    for right, role, _, path in table("Every right of the app's identity"):
        named = re.findall(r"`(\w[\w/]*\.py)` `(\w+)`", path)
        missing += [f"{role}, {right}: {file} {name}" for file, name in named if name not in _definitions(file)]
        missing += [f"{role}, {right}"] if not named and not re.match(r"none[^:]*: \S.{20,}", path) else []

    assert missing == []


def test_no_large_role_but_the_listed(templates: dict[str, Template]) -> None:
    """No Officer, Owner, Contributor or Administrator is assigned but those that are listed."""
    large = {role for _, role, _ in _granted(templates) if re.search("Officer|Owner|Contributor|Administrator", role)}

    assert large == LARGE


def test_nothing_can_be_deleted_or_purged(templates: dict[str, Template]) -> None:
    """The roles that are defined here name each action in full, and none that deletes, purges, restores or upserts."""
    actions = {action for role in _defined_roles(templates) for action in _actions(role)}
    forbidden = [action for action in actions if re.search(r"\*|delete|purge|restore|recover|upsert|write", action)]

    assert actions
    assert forbidden == []


def test_every_assignment_is_to_the_identity(templates: dict[str, Template]) -> None:
    """Roles go to the app's identity and to nobody else."""
    principals = [resource.properties["principalId"] for resource in _assignments(templates)]
    passed = [
        module.params["principalId"]
        for template in templates.values()
        for module in template.modules.values()
        if "principalId" in module.params
    ]
    from_main = [value for value in passed if value != "principalId"]
    identity = {"operand_1": "identity", "operand_2": {"operator": _output("principalId")}}

    assert set(principals) == {"principalId"}
    assert all({"operator": {"type": "property_accessor", "operands": identity}} == value for value in from_main)


def test_the_local_azure_gives_the_same_rights(templates: dict[str, Template]) -> None:
    """What the tests run with is what is deployed: the app's local roles are the templates', scopes and all."""
    deployed = {_role_name(role): sorted(_actions(role)) for role in _defined_roles(templates)}
    assigned = {(role, scope) for _, role, scope in _granted(templates) if role in deployed}
    local = [*PRINCIPALS["keyturn"], *DOCUMENT_MIGRATIONS]

    assert {name: sorted(local_roles.ROLES[name]) for name, _ in local} == deployed
    assert {(name, LOCAL_SCOPES[scope]) for name, scope in local if scope} | {
        (ROTATOR, "the MEK"),
        ("Keyturn backup check", "the Cosmos DB account"),
        ("Keyturn metadata", "the Cosmos DB account"),
    } == assigned


def test_documents_cannot_be_changed_unless_it_is_asked_for(templates: dict[str, Template], main: Template) -> None:
    """What only a migration of documents needs is in one module, under a condition that is false by default."""
    optional = templates["modules/cosmos/document_migrations.bicep"]
    others = {name: template for name, template in templates.items() if template is not optional}
    granted = {(right.rpartition("/")[2], scope) for right, _, scope in _granted({"": optional})}
    left = {(right.rpartition("/")[2], scope) for right, _, scope in _granted(others)}
    conditions = re.findall(r"'document_migrations\.bicep' = if \((\w+)\)", templates["modules/cosmos/main.bicep"].text)

    assert granted == {("create", "the dek store"), ("replace", "the containers in `documents`")}
    assert granted & left == set()
    assert conditions == ["documentMigrations"]
    assert main.parameters["documentMigrations"]["default"] is False


def test_cosmos_actions_exist(templates: dict[str, Template]) -> None:
    """Each data action on Cosmos DB is one that the local service, too, asks for."""
    known = {action for needed in ACTIONS.values() if needed is not None for action in needed}
    granted = {
        action
        for role in _defined_roles(templates)
        if role.type.endswith("sqlRoleDefinitions")
        for action in _actions(role)
    }

    assert granted - known == set()


def _granted(templates: dict[str, Template]) -> Iterator[tuple[str, str, str]]:
    for assignment in _assignments(templates):
        scope = _scope(assignment)
        reference = assignment.properties["roleDefinitionId"]
        if (defined := accessor(reference)) is not None:
            role = assignment.template.resources[defined[0]]
            for action in _actions(role):
                yield action, _role_name(role), scope
        else:
            [key] = [found[1] for part in walk(reference) if (found := accessor(part)) and found[0] == "roles"]
            name = next(name for name in _built_in_names() if _key(name) == key)
            yield name, name, scope


def _assignments(templates: dict[str, Template]) -> Iterator[Resource]:
    for template in templates.values():
        for resource in template.resources.values():
            if resource.type in (ASSIGNMENT, COSMOS_ASSIGNMENT):
                yield resource


def _scope(assignment: Resource) -> str:
    scope = assignment.config["scope"] if assignment.type == ASSIGNMENT else assignment.properties["scope"]
    if (whole := accessor(scope)) is not None:
        scope = whole[0]
    named = assignment.template.resources.get(scope)
    return SCOPES[scope if named is None else named.type]


def _defined_roles(templates: dict[str, Template]) -> Iterator[Resource]:
    for template in templates.values():
        for resource in template.resources.values():
            if resource.type.endswith("oleDefinitions") and not resource.existing:
                yield resource


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


def _output(name: str) -> dict[str, object]:
    return {"type": "property_accessor", "operands": {"operand_1": "outputs", "operand_2": name}}


def _definitions(file: str) -> set[str]:
    tree = ast.parse((ROOT / file).read_text())
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return {node.name for node in ast.walk(tree) if isinstance(node, kinds)}
