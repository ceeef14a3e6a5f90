"""I3: no DEK changes its value."""

from typing import Any

import pytest

from field_encrypt import rewrapping
from field_encrypt.dek import Dek
from keyturn.contracts.pages import PageResult, RowRef
from keyturn.deks.proof import prove_page
from keyturn.deks.rewrap import rewrap_page
from tests.invariants.harness import ActivityHarness
from tests.keyturn.clocks import ManualClock
from tests.keyturn.deks.pages import Sink, dependencies, page_of

MISMATCH = "key_check_mismatch"


@pytest.fixture
async def target(harness: ActivityHarness) -> str:
    """The version to move onto."""
    return await harness.local_keyring.mek.create()


async def rewrap_and_prove(harness: ActivityHarness, refs: list[RowRef], target: str, sink: Sink) -> PageResult:
    """Rewrap the rows, and prove them."""
    page = page_of(refs, target)
    await rewrap_page(page, dependencies(harness.local_keyring, sink))
    return await prove_page(page, dependencies(harness.local_keyring, sink, clock=ManualClock()))


def wrap_another_dek(harness: ActivityHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    """Break wrapping: what is wrapped is not the DEK that was given."""
    wrap = harness.local_keyring.mek.client.wrap

    def another(_dek: bytes, *arguments: Any) -> bytes:
        return wrap(Dek.generate().reveal(), *arguments)

    monkeypatch.setattr(harness.local_keyring.mek.client, "wrap", another)


def believe_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    """Break the comparison with the key check."""
    monkeypatch.setattr(rewrapping, "matches_key_check", lambda *_: True)


async def swap_wraps(harness: ActivityHarness) -> list[RowRef]:
    """Store two rows of which the first was given the second's wrap: it opens, to a DEK that is not its own."""
    first, second = await harness.local_keyring.add_many(2, harness.old)
    wrap = (await harness.local_keyring.item(second))["wrappedDek"]
    operation = {"op": "set", "path": "/wrappedDek", "value": wrap}
    await harness.local_keyring.container.patch_item(first.id, first.partition, [operation])
    return [first, second]


async def test_a_rewrap_keeps_every_dek(harness: ActivityHarness, target: str) -> None:
    """Rows rewrapped and proven give the DEKs that they were created with."""
    refs = await harness.local_keyring.add_many(5, harness.old)

    proven = await rewrap_and_prove(harness, refs, target, Sink())

    assert proven.changed == 5
    assert await harness.changed_deks() == []


async def test_the_proof_undoes_a_wrap_of_another_dek(
    harness: ActivityHarness, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where wrapping itself is broken, the proof finds it, names the rows and puts the old wraps back."""
    refs = await harness.local_keyring.add_many(2, harness.old)
    wrap_another_dek(harness, monkeypatch)
    sink = Sink()

    await rewrap_and_prove(harness, refs, target, sink)

    assert {ref.id: (MISMATCH, target) for ref in refs} == sink.named
    assert await harness.changed_deks() == []


async def test_a_row_with_the_wrap_of_another_is_not_blessed(harness: ActivityHarness, target: str) -> None:
    """A row whose wrap opens to another DEK than its key check tells is named and left as it is."""
    refs = await swap_wraps(harness)
    before = await harness.local_keyring.item(refs[0])
    sink = Sink()

    await rewrap_and_prove(harness, refs, target, sink)

    assert {refs[0].id: (MISMATCH, harness.old)} == sink.named
    assert await harness.local_keyring.item(refs[0]) == before


async def test_broken_wrap_and_key_check(
    harness: ActivityHarness, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a broken wrap, and nobody who compares, rows give another DEK, and the check names each."""
    refs = await harness.local_keyring.add_many(2, harness.old)
    wrap_another_dek(harness, monkeypatch)
    believe_everything(monkeypatch)

    await rewrap_and_prove(harness, refs, target, Sink())

    wrong = [f"row {ref.id} gives another DEK than it was created with" for ref in refs]
    assert sorted(wrong) == sorted(await harness.changed_deks())


async def test_broken_key_check_lets_a_swapped_wrap_through(
    harness: ActivityHarness, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the comparison a swapped wrap is rewrapped and proven, and only the check finds the wrong DEK."""
    refs = await swap_wraps(harness)
    believe_everything(monkeypatch)
    sink = Sink()

    await rewrap_and_prove(harness, refs, target, sink)

    assert sink.named == {}
    assert await harness.changed_deks() == [f"row {refs[0].id} gives another DEK than it was created with"]
