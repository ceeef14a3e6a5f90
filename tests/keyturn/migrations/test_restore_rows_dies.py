"""A copy of rows dies after any of its requests: what is written is whole, and the next call does the rest at once."""

import pytest

from keyturn.contracts.states import State
from local.cosmos.store import writes_of
from tests.invariants.crash import Died, Requests
from tests.keyturn.local_keyring import encoded
from tests.keyturn.migrations.two_accounts import TwoAccounts

REQUESTS = 78  # of a call that does all of it; the last ones end the run
PARTS = 13


def not_waiting(said: str) -> None:
    """Fail as soon as the operator is told that others hold the vault: there are none."""
    assert "waiting" not in said


@pytest.mark.parametrize("part", range(PARTS))
async def test_it_dies_anywhere_and_the_next_call_does_the_rest(accounts: TwoAccounts, part: int) -> None:
    """Each row is written once; rows that open never; and nobody waits for what the dead call held of the vault."""
    refs = await accounts.backed_up(5)
    died = 0
    for last in range(part + 1, REQUESTS + 1, PARTS):
        await accounts.lose(refs[:2])
        await accounts.change(refs[2], wrappedDek=encoded(b"x" * 256))
        before = await accounts.rows()

        try:
            with Requests(last).counted():
                await accounts.restore()
        except Died:
            died += 1
        compared = await accounts.restore(tell=not_waiting)

        after = await accounts.rows()
        damaged = refs[2].id
        assert {writes_of(after[ref.id]["_etag"]) for ref in refs[:2]} == {0}
        assert writes_of(after[damaged]["_etag"]) - writes_of(before[damaged]["_etag"]) == 1
        assert [after[ref.id] for ref in refs[3:]] == [before[ref.id] for ref in refs[3:]]
        for ref in refs:
            assert await accounts.local.unwrapped(ref) == accounts.local.deks[ref.id]
        assert (await accounts.record(compared.run_id)).state is State.COMPLETED
    assert died
