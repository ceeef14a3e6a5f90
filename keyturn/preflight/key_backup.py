"""The MEK can be brought back: a backup of all its versions is taken before anything else is done to it."""

from keyturn.key_vault.backups import VERSIONS_MAX, WHERE_IT_OPENS
from keyturn.preflight.inquiry import Finding, Inquiry, bad, good


async def key_backup(inquiry: Inquiry) -> Finding:
    """A backup of the MEK is stored; a dry run only tells whether one could be."""
    backups = inquiry.keyring.key_backups
    versions = len(await inquiry.facts.versions())
    if versions > VERSIONS_MAX:
        return bad(
            f"the MEK has {versions} versions, and Key Vault backs up at most {VERSIONS_MAX}",
            "re-encrypt onto a new key, or waive",
        )
    if inquiry.record.options.dry_run:
        return good(f"a dry run takes none; a rotation would store {versions} versions in {backups.container}")
    taken = await backups.take(inquiry.record.rotation_id, versions=versions, now=inquiry.now)
    return good(
        f"{taken.versions} versions, {taken.size} bytes, stored in {backups.container} until "
        f"{taken.expires_at.date().isoformat()}; opens in {WHERE_IT_OPENS}"
    )
