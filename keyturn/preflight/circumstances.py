"""The right moment: no migration at work, inside the maintenance window, and the people on call know."""

from keyturn.migrations.leases import active
from keyturn.preflight.inquiry import Finding, Inquiry, bad, good


async def no_migration(inquiry: Inquiry) -> Finding:
    """No migration of this keyring is at work."""
    leases = await active(inquiry.documents, inquiry.record.keyring, inquiry.now)
    if not leases:
        return good("no migration holds a lease")
    running = [f"{lease.migration}, run by {lease.holder}, until {lease.expires_at.isoformat()}" for lease in leases]
    return bad(f"migrations hold leases: {'; '.join(running)}", "wait until they have ended or their leases expired")


async def maintenance_window(inquiry: Inquiry) -> Finding:
    """It is time for maintenance."""
    windows = inquiry.settings.keyturn_windows
    if not windows:
        return good("no window is set in KEYTURN_WINDOWS: any time will do")
    for window in windows:
        if window.is_open(inquiry.now):
            opened = window.latest_opening(inquiry.now)
            return good(f"inside the window that opened at {opened.isoformat()} for {window.duration}")
    described = "; ".join(f"{window.cron} {window.time_zone.key} for {window.duration}" for window in windows)
    return bad(
        f"{inquiry.now.isoformat(timespec='seconds')} is outside every window: {described}",
        "start again inside a window, or force it with a reason",
    )


async def on_call_notified(inquiry: Inquiry) -> Finding:
    """The people on call were told."""
    if inquiry.on_call is None and inquiry.settings.keyturn_on_call_required:
        return bad("no notification channel is configured", "configure one, or set KEYTURN_ON_CALL_REQUIRED to false")
    if inquiry.on_call is None:
        return good("no notification channel is configured, and none is required")
    if inquiry.record.options.dry_run:
        return good("a dry run disturbs nobody; a rotation would notify the people on call")
    return good(f"sent to {await inquiry.on_call(inquiry.record)}")
