"""I12: the vault's budget holds across all workers: live traffic keeps its share."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from keyturn.contracts.base import Policy
from keyturn.contracts.pages import PageInput, PageResult
from keyturn.contracts.passes import PassInput
from keyturn.deks import proof, rewrap
from keyturn.key_vault.pacing import Pacer
from orchestrators import row_pass
from tests.invariants.checks.budget import over_budget
from tests.invariants.harness import QUICK, ActivityHarness

# Few and slow, so that what is broken shows on a busy machine too.
BUDGET = 4.0  # operations a second
ROWS, PAGE_ROWS = 20, 5


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
    assert (pytest.approx(budget), pytest.approx(budget / 2)) == (sum(rates["sweep"]), sum(rates["proof"]))


async def test_broken_each_page_takes_the_whole_budget(
    running_engine: ActivityHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the budget is not divided, the vault's log shows it."""

    def undivided(**fields: Any) -> PageInput:
        return PageInput(**{**fields, "operations_per_second": BUDGET})

    monkeypatch.setattr(row_pass, "PageInput", undivided)

    assert len(await wrong(running_engine)) == 1


async def test_broken_nobody_waits(running_engine: ActivityHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where pages do not wait for their turn, the vault's log shows it."""

    async def at_once(_: Pacer) -> None:
        """Wait for nothing."""

    monkeypatch.setattr(Pacer, "acquire", at_once)

    assert len(await wrong(running_engine)) >= 1
