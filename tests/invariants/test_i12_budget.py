"""I12: the vault's budget holds across all workers: live traffic keeps its share."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from azure.cosmos.aio import ContainerProxy, CosmosClient

from field_encrypt.pacing import Pacer
from keyturn.contracts.base import Policy
from keyturn.contracts.pages import PageInput, PageResult
from keyturn.contracts.passes import BudgetInput, PassInput
from keyturn.contracts.states import State
from keyturn.deks import proof, rewrap
from keyturn.runs import budget
from orchestrators import row_pass
from tests.field_encrypt.local_cosmos import new_container
from tests.field_encrypt.local_vault import ALL_OF_KEYS, Mek
from tests.invariants.checks.budget import over_budget
from tests.invariants.harness import QUICK, ActivityHarness
from tests.invariants.rotation_driver import RotationDriver
from tests.keyturn.local_keyring import LocalKeyring

# Few and slow, so that what is broken shows on a busy machine too.
BUDGET = 4.0  # operations a second
ROWS, PAGE_ROWS = 20, 5


# Two keyrings of one vault: waves of some seconds, so that each sees the other come and go.
SHARED = 20.0  # operations a second
MANY, WAVE_ROWS = 120, 10


async def wrong(harness: ActivityHarness, operation: str = "rewrap") -> list[str]:
    """Make one pass over the store, four pages at a time, and ask the vault's log for the rate."""
    record = await harness.start()
    target = await harness.local_keyring.mek.create()
    already = len(harness.operations())
    await harness.run_workflow(
        "row_pass",
        PassInput(
            run=record.ref,
            target_version=target,
            operation=operation,
            policy=Policy.model_validate({**QUICK, "page_rows": PAGE_ROWS, "window_pages": 4}),
            operations_per_second=BUDGET,
        ),
    )
    assert {row["mekVersion"] for row in await harness.rows()} == {target}
    return over_budget(harness.operations()[already:], BUDGET)


@pytest.fixture(autouse=True)
async def filled(running_engine: ActivityHarness) -> None:
    """A store with rows for several pages."""
    await running_engine.local_keyring.add_many(ROWS, running_engine.old)


async def test_pages_in_flight_share_the_budget(running_engine: ActivityHarness) -> None:
    """Four pages at a time take no more of the vault, together, than the budget, calls repeated for a 429 included."""
    running_engine.local_keyring.mek.fault(operation="unwrap", kind="throttle", count=2)

    assert await wrong(running_engine) == []


async def test_a_proof_takes_no_more_than_its_share(
    running_engine: ActivityHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All pages that are proven at a time have half of what the pages of a sweep have together: soaking has time."""
    rates: dict[str, list[float]] = {"sweep": [], "proof": []}
    unbroken = {"sweep": rewrap.rewrap_page, "proof": proof.prove_page}

    def watched(phase: str) -> Callable[..., Awaitable[PageResult]]:
        async def page(request: PageInput, *arguments: Any) -> PageResult:
            rates[phase].append(request.operations_per_second)
            return await unbroken[phase](request, *arguments)

        return page

    monkeypatch.setattr(rewrap, "rewrap_page", watched("sweep"))
    monkeypatch.setattr(proof, "prove_page", watched("proof"))
    record = await running_engine.rotate(page_rows=PAGE_ROWS, window_pages=16, proof_share=0.5)

    budget = record.policy.vault_operations_per_second
    assert len(rates["proof"]) > 1
    assert (sum(rates["sweep"]), sum(rates["proof"])) == pytest.approx((budget, budget / 2))


async def test_broken_each_page_takes_the_whole_budget(
    running_engine: ActivityHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the budget is not divided, the vault's log shows it."""

    def undivided(**fields: Any) -> PageInput:
        return PageInput(**{**fields, "operations_per_second": BUDGET})

    monkeypatch.setattr(row_pass, "PageInput", undivided)

    assert len(await wrong(running_engine)) == 1


async def test_broken_no_call_waits(running_engine: ActivityHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where pages do not wait for their turn, the vault's log shows it."""

    async def at_once(_: Pacer) -> None:
        """Wait for nothing."""

    monkeypatch.setattr(Pacer, "acquire", at_once)

    assert len(await wrong(running_engine)) >= 1


@pytest.fixture
async def neighbour(
    running_engine: ActivityHarness, cosmos_client: CosmosClient, container: ContainerProxy
) -> AsyncIterator[ActivityHarness]:
    """Another keyring of the same app, whose MEK is in the same vault."""
    local = running_engine.local_keyring
    mek = Mek(local.mek.vault, *ALL_OF_KEYS)
    own = LocalKeyring(mek, local.cosmos, await new_container(cosmos_client, "deks"))
    made = await ActivityHarness.create(own, cosmos_client, container)
    made.engine = running_engine.engine
    running_engine.resources._keyrings[made.keyring] = made.resources.keyring(made.keyring)
    yield made
    await made.close()
    await mek.close()


async def rotate_both(*harnesses: ActivityHarness) -> list[dict[str, Any]]:
    """Rotate keyrings at the same time, and return what the vault was asked to unwrap, in order."""
    for harness in harnesses:
        await harness.local_keyring.add_many(MANY, harness.old)
    ended = await asyncio.gather(
        *(
            harness.rotate(vault_operations_per_second=SHARED, page_rows=WAVE_ROWS, window_pages=4, proof="unsafe_off")
            for harness in harnesses
        )
    )
    assert {record.state for record in ended} == {State.COMPLETED}
    asked = [entry for harness in harnesses for entry in harness.operations() if entry["operation"] == "unwrap"]
    return sorted(asked, key=lambda entry: str(entry["at"]))


async def test_two_keyrings_of_a_vault_share_its_budget(
    running_engine: ActivityHarness, neighbour: ActivityHarness
) -> None:
    """Two rotations at once take no more of the vault, together, than one of them may; both are served all along."""
    asked = await rotate_both(running_engine, neighbour)

    assert over_budget(asked, SHARED) == []
    middle = [entry["who"] for entry in asked[len(asked) // 4 : len(asked) // 2]]
    assert len(middle) >= MANY // 2
    assert all(middle.count(harness.app) >= len(middle) // 5 for harness in (running_engine, neighbour))


async def pass_at_once(*harnesses: ActivityHarness) -> list[dict[str, Any]]:
    """Move all rows of keyrings at the same time, in waves of five seconds; return what the vault was asked for."""
    requests = []
    for harness in harnesses:
        await harness.local_keyring.add_many(MANY, harness.old)
        record = await harness.start(vault_operations_per_second=SHARED, page_rows=25, window_pages=4)
        target = await harness.local_keyring.mek.create()
        requests.append(
            PassInput(
                run=record.ref,
                target_version=target,
                operation="rewrap",
                policy=record.policy,
                operations_per_second=SHARED,
            )
        )
    already = {id(harness): len(harness.operations()) for harness in harnesses}
    passes = zip(harnesses, requests, strict=True)
    await asyncio.gather(*(harness.run_workflow("row_pass", request) for harness, request in passes))
    return [entry for harness in harnesses for entry in harness.operations()[already[id(harness)] :]]


async def test_a_run_alone_uses_the_whole_budget(running_engine: ActivityHarness) -> None:
    """Nobody else claims a part, so nothing of the budget lies idle but between waves."""
    asked = await pass_at_once(running_engine)

    times = [datetime.fromisoformat(entry["at"]) for entry in asked]
    assert over_budget(asked, SHARED) == []
    assert len(times) / (times[-1] - times[0]).total_seconds() >= 0.8 * SHARED


async def test_broken_each_run_takes_the_whole_budget(
    running_engine: ActivityHarness, neighbour: ActivityHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where runs do not look at what others hold, the vault's log shows it."""
    monkeypatch.setattr(budget, "granted", lambda _others, _of, wanted: wanted)

    assert len(over_budget(await pass_at_once(running_engine, neighbour), SHARED)) >= 1


@pytest.mark.parametrize("state", [State.NEEDS_ATTENTION, State.ABORTED])
async def test_a_run_that_stops_half_way_holds_nothing_of_the_budget(harness: ActivityHarness, state: State) -> None:
    """Its pass failed before its last wave, or was ended: the next run has the whole at once."""
    driver = RotationDriver(harness, await harness.start(vault_operations_per_second=SHARED))
    await driver.to_new_version()
    documents, url = harness.runs.documents, harness.local_keyring.mek.vault.url
    claimed = await driver.act("claim_budget", BudgetInput(run=driver.ref, operations_per_second=SHARED))

    beside = await budget.claim(documents, url, "another", Policy(), SHARED, datetime.now(UTC))
    await driver.advance(state)
    alone = await budget.claim(documents, url, "another", Policy(), SHARED, datetime.now(UTC))
    await budget.give_back(documents, url, "another", datetime.now(UTC))

    assert (claimed["operationsPerSecond"], beside, alone) == (SHARED, 0, SHARED)
