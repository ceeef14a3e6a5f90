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
    # What a rotation needs and no more: a version can be made, used and disabled, never deleted.
    "Keyturn rotator": (
        f"{KEYS}/read",
        f"{KEYS}/create/action",
        f"{KEYS}/update/action",
        f"{KEYS}/wrap/action",
        f"{KEYS}/unwrap/action",
        f"{KEYS}/backup/action",
    ),
    # What pre-flight needs of Azure Resource Manager, to see how the account is backed up.
    "Keyturn backup reader": (f"{COSMOS}/read",),
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
