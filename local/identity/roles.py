"""Named sets of data actions, as Azure's built-in roles grant them, and the custom roles of this product.

Sources: Azure's "built-in roles for Security" page (Key Vault) and "data plane actions reference" of Cosmos DB. Only
the actions that a local service knows are listed.
"""

KEYS = "Microsoft.KeyVault/vaults/keys"
COSMOS = "Microsoft.DocumentDB/databaseAccounts"
CONTAINERS = f"{COSMOS}/sqlDatabases/containers"

ROLES: dict[str, tuple[str, ...]] = {
    "Key Vault Crypto Officer": (f"{KEYS}/*",),
    "Key Vault Crypto User": (
        f"{KEYS}/read",
        f"{KEYS}/update/action",
        f"{KEYS}/backup/action",
        f"{KEYS}/encrypt/action",
        f"{KEYS}/decrypt/action",
        f"{KEYS}/wrap/action",
        f"{KEYS}/unwrap/action",
    ),
    "Key Vault Crypto Service Encryption User": (
        f"{KEYS}/read",
        f"{KEYS}/wrap/action",
        f"{KEYS}/unwrap/action",
    ),
    # The roles that infra/ defines, by the same names and with the same actions: a test compares them.
    "Keyturn rotator": (
        f"{KEYS}/read",
        f"{KEYS}/create/action",
        f"{KEYS}/update/action",
        f"{KEYS}/unwrap/action",
        f"{KEYS}/backup/action",
    ),
    "Keyturn key drill": (
        f"{KEYS}/read",
        f"{KEYS}/restore/action",
        f"{KEYS}/update/action",
        f"{KEYS}/unwrap/action",
        f"{KEYS}/delete",
        f"{KEYS}/purge/action",
    ),
    "Keyturn backup check": (f"{COSMOS}/read",),
    # What `keyturn doctor --probe` needs of Azure Resource Manager: not the app's, an operator's.
    "DocumentDB containers": (f"{CONTAINERS}/write", f"{CONTAINERS}/delete"),
    "Keyturn metadata": (f"{COSMOS}/readMetadata",),
    "Keyturn dek store": (
        f"{CONTAINERS}/items/read",
        f"{CONTAINERS}/items/replace",
        f"{CONTAINERS}/executeQuery",
        f"{CONTAINERS}/readChangeFeed",
    ),
    "Keyturn records": (
        f"{CONTAINERS}/items/create",
        f"{CONTAINERS}/items/read",
        f"{CONTAINERS}/items/replace",
        f"{CONTAINERS}/executeQuery",
        f"{CONTAINERS}/readChangeFeed",
    ),
    "Keyturn documents": (
        f"{CONTAINERS}/items/read",
        f"{CONTAINERS}/executeQuery",
        f"{CONTAINERS}/readChangeFeed",
    ),
    "Keyturn new DEKs": (f"{CONTAINERS}/items/create",),
    "Keyturn document changes": (f"{CONTAINERS}/items/replace",),
    "Cosmos DB Built-in Data Reader": (
        f"{COSMOS}/readMetadata",
        f"{CONTAINERS}/items/read",
        f"{CONTAINERS}/executeQuery",
        f"{CONTAINERS}/readChangeFeed",
    ),
    "Cosmos DB Built-in Data Contributor": (
        f"{COSMOS}/readMetadata",
        f"{CONTAINERS}/*",
        f"{CONTAINERS}/items/*",
    ),
}


def assigned(role: str, scope: str = "") -> list[str]:
    """Return the role's data actions as a principal holds them, in one container if a scope is given."""
    return [f"{action}@{scope}" if scope else action for action in ROLES[role]]


def container(database: str, name: str) -> str:
    """Return the scope of one container of the database account."""
    return f"dbs/{database}/colls/{name}"
