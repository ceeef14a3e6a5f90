"""The dek store can be brought back: continuous backup of the account, or a snapshot that the requester names."""

from keyturn.preflight.inquiry import Finding, Inquiry, bad, good


async def backup(inquiry: Inquiry) -> Finding:
    """Rows that a mistake destroys can be restored."""
    if snapshot := inquiry.record.options.snapshot_reference:
        return good(f"snapshot {snapshot}, named by {inquiry.record.requested_by}")
    if inquiry.account is None:
        return bad(
            "nothing tells how the dek store is backed up",
            "set KEYTURN_COSMOS_RESOURCE_ID to the account's resource id, or give snapshotReference in the request",
        )
    tier = await inquiry.account.continuous_backup()
    if tier is None:
        return bad(
            "the account is backed up periodically only",
            "switch the account to continuous backup, or take a snapshot and give snapshotReference in the request",
        )
    return good(f"the account is backed up continuously ({tier})")
