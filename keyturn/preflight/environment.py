"""What surrounds a rotation: encryption is on, by Azure Key Vault; backups; documents; and the time is right."""

from urllib.parse import urlsplit

from keyturn.approval.deciders import require_decider
from keyturn.contracts.characters import counted
from keyturn.contracts.pages import RowRef
from keyturn.cosmos.client import cosmos_failures
from keyturn.deks.store import read_item
from keyturn.preflight.context import CheckContext, unused_name
from keyturn.preflight.results import CheckResult, ok, problem
from keyturn.runs.migration_leases import active

# The hosts of vaults and managed HSMs in Azure's clouds (azure-keyvault's "Azure environments" page), and this machine.
_VAULT_DOMAINS = (
    *(".vault.azure.net", ".managedhsm.azure.net"),
    *(".vault.usgovcloudapi.net", ".managedhsm.usgovcloudapi.net"),
    *(".vault.azure.cn", ".managedhsm.azure.cn"),
)
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


async def encryption_enabled(context: CheckContext) -> CheckResult:
    """Fields are encrypted in this environment."""
    if context.keyring.keyring.encryption_enabled:
        return ok("FIELD_ENCRYPT_ENABLED is true")
    return problem("FIELD_ENCRYPT_ENABLED is not true", "set it to true where the backend runs, and here")


async def key_provider_is_akv(context: CheckContext) -> CheckResult:
    """The MEK is a key of Azure Key Vault, not a value in the environment."""
    provider = context.keyring.keyring.key_provider
    seen = f"FIELD_ENCRYPT_KEY_PROVIDER is {provider}"
    advice = "only a key in Azure Key Vault has versions: set it to akv"
    return ok(seen) if provider == "akv" else problem(seen, advice)


async def vault_url_set(context: CheckContext) -> CheckResult:
    """The URL of the vault has a host of Azure Key Vault."""
    url = context.keyring.keyring.vault_url
    host, seen = (urlsplit(url).hostname or "").lower(), f"AZURE_KEYVAULT_URL is {url}"
    if host.endswith(_VAULT_DOMAINS) or host in _LOOPBACK:
        return ok(seen)
    return problem(f"{seen}, no host of Azure Key Vault", "set it to https://<name>.vault.azure.net")


async def backup(context: CheckContext) -> CheckResult:
    """The dek store can be restored: continuous backup of the account, or a snapshot that the requester names."""
    if snapshot := context.record.options.snapshot_reference:
        return ok(f"snapshot {snapshot}, named by {context.record.requested_by}")
    if context.account is None:
        return problem(
            "the backup policy of the dek store is unknown",
            "set KEYTURN_COSMOS_RESOURCE_ID to the account's resource id, or name a snapshot: "
            f"keyturn rotate --keyring {context.record.keyring} --snapshot-reference NAME",
        )
    tier = await context.account.continuous_backup()
    if tier is None:
        return problem(
            "the account is backed up periodically only",
            "back it up continuously, or name a snapshot (snapshotReference): "
            f"keyturn rotate --keyring {context.record.keyring} --snapshot-reference NAME",
        )
    return ok(f"the account is backed up continuously ({tier})")


async def can_read_documents(context: CheckContext) -> CheckResult:
    """The identity may query each container and read from it; asked for a document that does not exist."""
    for name, container in context.keyring.documents.items():
        async with cosmos_failures(f"the container {name}", "read documents"):
            [_ async for _ in container.query_items("SELECT TOP 1 VALUE c.id FROM c")]
        absent = unused_name()
        await read_item(container, RowRef(id=absent, partition=absent), f"the container {name}", "read documents")
    return ok(f"read from {counted(len(context.keyring.documents), 'container')} of encrypted documents")


async def somebody_can_decide(context: CheckContext) -> CheckResult:
    """An approver other than the requester is configured, can be reached, and a decision would be taken."""
    return ok(require_decider(context.settings, context.record.requester))


async def no_migration(context: CheckContext) -> CheckResult:
    """No migration of this keyring is running."""
    leases = await active(context.documents, context.record.keyring, context.now)
    if not leases:
        return ok("no migration holds a lease")
    held = [f"{one.migration}, run by {one.holder}, until {one.expires_at.isoformat()} at least" for one in leases]
    return problem(f"migrations hold leases: {'; '.join(held)}", "wait until they have ended or their leases expired")


async def maintenance_window(context: CheckContext) -> CheckResult:
    """A maintenance window is open."""
    windows = context.settings.keyturn_windows
    if not windows:
        return ok("no window is set in KEYTURN_WINDOWS: a rotation may start at any time")
    for window in windows:
        if window.is_open(context.now):
            began = window.latest_start(context.now)
            return ok(f"inside the window that opened at {began.isoformat()} for {window.duration}")
    described = "; ".join(f"{window.cron} {window.time_zone.key} for {window.duration}" for window in windows)
    return problem(
        f"{context.now.isoformat(timespec='seconds')} is outside every window: {described}",
        f"start again inside a window, or give a reason: keyturn rotate --keyring {context.record.keyring} --force WHY",
    )


async def on_call_notified(context: CheckContext) -> CheckResult:
    """The people on call were told."""
    if context.on_call is None and context.settings.keyturn_on_call_required:
        return problem(
            "no notification channel is configured", "configure one, or set KEYTURN_ON_CALL_REQUIRED to false"
        )
    if context.on_call is None:
        return ok("no notification channel is configured, and none is required")
    if context.record.options.dry_run:
        return ok("a dry run sends nothing; a rotation would notify the people on call")
    return ok(f"sent to {await context.on_call(context.record)}")
