"""The runbook's first two items: encryption is on, by Azure Key Vault, at a URL that is one.

The dek store can be brought back: continuous backup of the account, or a snapshot that the requester names.

The containers of documents from which canaries are chosen: they answer, and the identity may read them.

The right moment: no migration at work, inside the maintenance window, and the people on call know.
"""

from urllib.parse import urlsplit

from azure.cosmos.exceptions import CosmosResourceNotFoundError

from keyturn.cosmos.client import cosmos_failures, is_absent_item
from keyturn.preflight.context import CheckContext, Finding, bad, good, unused_name
from keyturn.runs.migration_leases import active

# The hosts of vaults and managed HSMs in Azure's clouds (azure-keyvault's "Azure environments" page), and this machine.
_VAULT_DOMAINS = (
    *(".vault.azure.net", ".managedhsm.azure.net"),
    *(".vault.usgovcloudapi.net", ".managedhsm.usgovcloudapi.net"),
    *(".vault.azure.cn", ".managedhsm.azure.cn"),
)
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


async def encryption_enabled(context: CheckContext) -> Finding:
    """Fields are encrypted in this environment."""
    if context.keyring.keyring.encryption_enabled:
        return good("FIELD_ENCRYPT_ENABLED is true")
    return bad("FIELD_ENCRYPT_ENABLED is not true", "set it to true where the backend runs, and here")


async def key_provider_is_akv(context: CheckContext) -> Finding:
    """The MEK is a key of Azure Key Vault, not a value in the environment."""
    provider = context.keyring.keyring.key_provider
    if provider == "akv":
        return good("FIELD_ENCRYPT_KEY_PROVIDER is akv")
    return bad(f"FIELD_ENCRYPT_KEY_PROVIDER is {provider}", "only a key in Azure Key Vault has versions: set it to akv")


async def vault_url_set(context: CheckContext) -> Finding:
    """The vault's URL is that of a vault."""
    url = context.keyring.keyring.vault_url
    host = (urlsplit(url).hostname or "").lower()
    if host.endswith(_VAULT_DOMAINS) or host in _LOOPBACK:
        return good(f"AZURE_KEYVAULT_URL is {url}")
    return bad(f"AZURE_KEYVAULT_URL is {url}, no host of Azure Key Vault", "set it to https://<name>.vault.azure.net")


async def backup(context: CheckContext) -> Finding:
    """Rows that a mistake destroys can be restored."""
    if snapshot := context.record.options.snapshot_reference:
        return good(f"snapshot {snapshot}, named by {context.record.requested_by}")
    if context.account is None:
        return bad(
            "nothing tells how the dek store is backed up",
            "set KEYTURN_COSMOS_RESOURCE_ID to the account's resource id, or give snapshotReference in the request",
        )
    tier = await context.account.continuous_backup()
    if tier is None:
        return bad(
            "the account is backed up periodically only",
            "switch the account to continuous backup, or take a snapshot and give snapshotReference in the request",
        )
    return good(f"the account is backed up continuously ({tier})")


async def can_read_documents(context: CheckContext) -> Finding:
    """The identity may query each container and read from it; asked for a document that does not exist."""
    for name, container in context.keyring.documents.items():
        async with cosmos_failures(f"the container {name}", "read documents"):
            [_ async for _ in container.query_items("SELECT TOP 1 VALUE c.id FROM c")]
            absent = unused_name()
            try:
                await container.read_item(absent, partition_key=absent)
            except CosmosResourceNotFoundError as error:
                if not is_absent_item(error):
                    raise
    return good(f"{len(context.keyring.documents)} containers of encrypted documents were read from")


async def no_migration(context: CheckContext) -> Finding:
    """No migration of this keyring is at work."""
    leases = await active(context.documents, context.record.keyring, context.now)
    if not leases:
        return good("no migration holds a lease")
    running = [f"{lease.migration}, run by {lease.holder}, until {lease.expires_at.isoformat()}" for lease in leases]
    return bad(f"migrations hold leases: {'; '.join(running)}", "wait until they have ended or their leases expired")


async def maintenance_window(context: CheckContext) -> Finding:
    """It is time for maintenance."""
    windows = context.settings.keyturn_windows
    if not windows:
        return good("no window is set in KEYTURN_WINDOWS: any time will do")
    for window in windows:
        if window.is_open(context.now):
            began = window.latest_start(context.now)
            return good(f"inside the window that opened at {began.isoformat()} for {window.duration}")
    described = "; ".join(f"{window.cron} {window.time_zone.key} for {window.duration}" for window in windows)
    return bad(
        f"{context.now.isoformat(timespec='seconds')} is outside every window: {described}",
        "start again inside a window, or force it with a reason",
    )


async def on_call_notified(context: CheckContext) -> Finding:
    """The people on call were told."""
    if context.on_call is None and context.settings.keyturn_on_call_required:
        return bad("no notification channel is configured", "configure one, or set KEYTURN_ON_CALL_REQUIRED to false")
    if context.on_call is None:
        return good("no notification channel is configured, and none is required")
    if context.record.options.dry_run:
        return good("a dry run disturbs nobody; a rotation would notify the people on call")
    return good(f"sent to {await context.on_call(context.record)}")
