"""``encrypt``, ``re-encrypt`` and ``decrypt-check``: passes over the documents of some containers.

What was encrypted is proven before the migration ends: everything decrypts, read as by a reader that caches nothing.
The page operations skip what is done, so the migration may die anywhere and run again.
"""

from collections.abc import Iterable
from datetime import timedelta
from typing import NamedTuple

from keyturn.contracts.migrations import DecryptCheck, DocumentWork, Encrypt, Reencrypt
from keyturn.contracts.pages import PageResult
from keyturn.contracts.passes import PASSES_MAX
from keyturn.contracts.states import State
from keyturn.notifications.events import UNREADABLE
from orchestrators.calls import Steps
from orchestrators.migrations.run import MigrationRun
from orchestrators.run_recorder import Outcome


class _Done(NamedTuple):
    """What passes over the containers came to."""

    changed: int = 0
    quarantined: int = 0
    settled: bool = True  # the last pass over each container changed nothing

    def plus(self, totals: PageResult) -> "_Done":
        return self._replace(changed=self.changed + totals.changed, quarantined=self.quarantined + totals.quarantined)


def encrypt(run: MigrationRun, work: Encrypt) -> Steps[Outcome]:
    """Encrypt the plaintext fields of every document; returns ENDED, or AGAIN."""
    return (yield from _change(run, work, "encrypt_documents", "encrypted"))


def reencrypt(run: MigrationRun, work: Reencrypt) -> Steps[Outcome]:
    """Put every document under a fresh DEK; returns ENDED, or AGAIN."""
    superseded = "; the rows that they named before are superseded and stay"
    return (yield from _change(run, work, "reencrypt_documents", "re-encrypted", superseded))


def decrypt_check(run: MigrationRun, work: DecryptCheck) -> Steps[Outcome]:
    """Decrypt every document; returns ENDED, also where some do not decrypt: they are named."""
    found = yield from _once(run, "check_documents", work.containers)
    detail = f"{found.changed} documents decrypt, {found.quarantined} do not"
    return (yield from run.end(State.COMPLETED, detail, UNREADABLE if found.quarantined else None))


def _change(run: MigrationRun, work: DocumentWork, operation: str, past: str, remark: str = "") -> Steps[Outcome]:
    if run.given.dry_run:
        found = yield from _once(run, operation, work.containers, dry_run=True)
        detail = f"dry run: {found.changed} documents would be {past}, {found.quarantined} cannot"
        return (yield from run.complete(detail))
    done = yield from _settle(run, operation, work.containers)
    if done.quarantined:
        return (yield from run.wait_for_operator(f"{done.quarantined} documents cannot be {past}"))
    if not done.settled:
        return (yield from run.wait_for_operator(f"writers keep bringing documents that are to be {past}"))
    proven = yield from _once(run, "prove_documents", work.containers)
    if proven.quarantined:
        return (yield from run.wait_for_operator(f"{proven.quarantined} documents do not decrypt"))
    detail = f"{done.changed} documents were {past}, {proven.changed} decrypt{remark}"
    return (yield from run.complete(detail))


def _once(run: MigrationRun, operation: str, containers: Iterable[str], *, dry_run: bool = False) -> Steps[_Done]:
    """Make one pass over each container."""
    done = _Done()
    for container in containers:
        found = yield from run.row_pass(operation, source=container, dry_run=dry_run)
        done = done.plus(found.totals)
    return done


def _settle(run: MigrationRun, operation: str, containers: Iterable[str]) -> Steps[_Done]:
    """Make passes over each container until one changed nothing; counts what the last pass could not work on."""
    changed, quarantined, settled = 0, 0, True
    for container in containers:
        for number in range(1, PASSES_MAX + 1):
            totals = (yield from run.row_pass(operation, source=container)).totals
            changed += totals.changed
            if totals.changed == 0:
                break
            if number > 1:  # the second pass follows at once; from then on a writer keeps writing
                yield run.ctx.create_timer(min(timedelta(seconds=2**number), run.given.policy.tail_interval))
        quarantined += totals.quarantined
        settled = settled and totals.changed == 0
    return _Done(changed, quarantined, settled)
