"""What runs hold of a vault together is never more than its budget, and nobody waits for ever."""

import asyncio
import uuid
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.contracts.base import Policy
from keyturn.contracts.migrations import Reencrypt
from keyturn.cosmos.state_container import StateContainer
from keyturn.runs.budget import LASTS, BudgetClaim, claim, give_back, granted, vaults_of
from tests.keyturn.runs.lifecycle import NOW
from tests.keyturn.runs.records import migration, rotation

BUDGET = 30.0
POLICY = Policy(vault_operations_per_second=BUDGET, page_rows=1, window_pages=1)
LATER = LASTS + timedelta(minutes=1)


@pytest.fixture
def url() -> str:
    """A vault of the test's own."""
    return f"https://{uuid.uuid4().hex}.vault.azure.net"


async def ask(
    documents: StateContainer, url: str, run: str, wanted: float = BUDGET, after: timedelta | None = None
) -> float:
    """Claim for a run."""
    return await claim(documents, url, run, POLICY, wanted, NOW + (after or timedelta()))


async def test_a_run_alone_has_the_whole_and_a_newcomer_waits_for_its_half(documents: StateContainer, url: str) -> None:
    """The first learns of the second when it asks again, and of its end likewise."""
    assert [await ask(documents, url, run) for run in ("a", "b", "a", "b", "b")] == [30, 0, 15, 15, 15]

    await give_back(documents, url, "a", NOW)
    await give_back(documents, url, "a", NOW)

    assert await ask(documents, url, "b") == 30


async def test_names_of_a_vault_are_one_vault(documents: StateContainer, url: str) -> None:
    """Case, port and path of its URL make no other vault; another host does."""
    await ask(documents, url, "a")

    same = [await ask(documents, name, "b") for name in (url.upper(), f"{url}/", f"{url}:443")]
    assert same == [0, 0, 0]
    assert await ask(documents, f"{url}.cn", "b") == 30


async def test_a_claim_ends_by_itself(documents: StateContainer, url: str) -> None:
    """What a run that died held is free after a while; a wave that takes longer than that keeps its claim."""
    await ask(documents, url, "dead")
    slow = POLICY.model_copy(update={"page_rows": 250, "window_pages": 16})
    await claim(documents, f"{url}.slow", "slow", slow, BUDGET, NOW)

    assert await ask(documents, url, "b", after=LATER) == 30
    assert await ask(documents, f"{url}.slow", "b", after=LATER) == 0


async def test_who_wants_less_gets_less(documents: StateContainer, url: str) -> None:
    """A proof keeps to its share of the budget, and leaves the rest."""
    assert [await ask(documents, url, *asked) for asked in (("a", 10.0), ("b",), ("a", 10.0))] == [10, 15, 10]


async def test_the_smallest_of_the_policies_holds(documents: StateContainer, url: str) -> None:
    """Who was told of less knows of callers that the others do not know."""
    small = POLICY.model_copy(update={"vault_operations_per_second": 8.0})
    await ask(documents, url, "a")

    waiting = await claim(documents, url, "b", small, 8.0, NOW)
    first = await ask(documents, url, "a")

    assert (waiting, first, await claim(documents, url, "b", small, 8.0, NOW)) == (0, 4, 4)


async def test_runs_that_ask_at_once_never_hold_too_much(documents: StateContainer, url: str) -> None:
    """The document decides; after a few rounds each has its share."""
    runs = [f"run-{number}" for number in range(6)]
    held = dict[str, float]()
    for _ in range(3):
        held = dict(zip(runs, await asyncio.gather(*(ask(documents, url, run) for run in runs)), strict=True))
        assert sum(held.values()) <= BUDGET + 1e-9

    assert held == dict.fromkeys(runs, BUDGET / 6)


@given(st.lists(st.tuples(st.integers(0, 5), st.sampled_from([0.0, 0.5, 1.0])), max_size=40))
def test_however_runs_come_and_go_the_sum_is_within_the_budget(asked: list[tuple[int, float]]) -> None:
    """Each step, a run asks for a part of the budget or leaves; in the end everybody who is there gets its share."""
    held: dict[int, BudgetClaim] = {}

    def ask_for(run: int, wanted: float) -> None:
        others = [claim for other, claim in held.items() if other != run]
        held[run] = BudgetClaim(budget=BUDGET, granted=granted(others, BUDGET, wanted), valid_until=NOW)

    for run, part in asked:
        held.pop(run, None) if not part else ask_for(run, part * BUDGET)
        assert sum(claim.granted for claim in held.values()) <= BUDGET + 1e-9
    for _ in range(2):
        for run in held:
            ask_for(run, BUDGET)

    assert all(claim.granted == pytest.approx(BUDGET / len(held)) for claim in held.values())


def test_a_run_asks_the_vaults_of_its_keyring_and_of_its_target() -> None:
    """Only documents that get DEKs of another keyring's MEK need two."""
    work = Reencrypt(containers=["notes"], target_keyring="other")

    assert vaults_of(rotation(), str.upper) == {"DEFAULT"}
    assert vaults_of(migration(), str.upper) == {"DEFAULT"}
    assert vaults_of(migration(work=work), str.upper) == {"DEFAULT", "OTHER"}
