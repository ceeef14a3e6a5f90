"""I9: runs activities twice, and keeps what the second run changed."""

from typing import Any

from keyturn.contracts.base import Payload
from orchestrators.operations import OPERATIONS
from tests.invariants.harness import ActivityHarness
from tests.invariants.outcome import differences, outcome

# What the second run of a page answers: nothing was left to do.
PAGES = frozenset(operation.activity for operation in OPERATIONS.values())

# Activities that no rotation runs, by the migration that does; each runs twice in a test of test_i09_migrations.py.
OF_RESTORES = frozenset({"freeze_restore", "enable_temporarily", "rewrap_chosen_page", "disable_again"})
OF_ROLLBACKS = frozenset({"count_changed_since", "freeze_rollback", "roll_back_page"})
OF_DOCUMENTS = frozenset({"scan_documents", "encrypt_documents", "reencrypt_documents", "check_documents"})
OF_MIGRATIONS = OF_RESTORES | OF_ROLLBACKS | OF_DOCUMENTS


class Twice:
    """Runs activities twice, all or only some, and keeps what the second run changed."""

    def __init__(self, harness: ActivityHarness, run_id: str, *only: str) -> None:
        self._harness = harness
        self._rotation_id = run_id
        self._only = only
        self.ran: set[str] = set()
        self.wrong: list[str] = []

    async def act(self, name: str, request: Payload) -> dict[str, Any]:
        """Run an activity, look, run it again, look again."""
        first = await self._harness.act(name, request)
        if self._only and name not in self._only:
            return first
        left = await outcome(self._harness, self._rotation_id)
        second = await self._harness.act(name, request)
        again = await outcome(self._harness, self._rotation_id)
        self.wrong += [f"{name}: {reason}" for reason in differences(left, again)]
        if name not in PAGES and first != second:
            self.wrong.append(f"{name}: the second run answers otherwise")
        self.ran.add(name)
        return first
