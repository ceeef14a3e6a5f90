"""The pace of calls to the vault: within the share, slower when throttled, back again slowly."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from field_encrypt.mek_errors import UnwrapRefusedError
from field_encrypt.pacing import BACKOFF_SECONDS, Pacer
from keyturn.errors import UnavailableError
from keyturn.key_vault.pacing import PacedVault
from tests.keyturn.clocks import ManualClock
from tests.keyturn.local_keyring import LocalKeyring


def pacer(rate: float, clock: ManualClock) -> Pacer:
    """Return a pacer that draws the longest wait of each back-off."""
    return Pacer(rate, clock, lambda _low, high: high)


async def test_calls_are_spaced() -> None:
    """A steady caller makes as many calls a second as its share allows."""
    clock = ManualClock()
    paced = pacer(10, clock)

    for _ in range(100):
        await paced.acquire()

    assert pytest.approx(10.0) == clock.elapsed
    assert paced.operations == 100


@given(st.lists(st.floats(0, 3), min_size=1, max_size=80), st.floats(0.5, 50))
def test_no_window_holds_more_than_the_share(pauses: list[float], rate: float) -> None:
    """Whatever pauses the caller makes, ten seconds hold the share and one second's catching up at most."""

    async def call_with_pauses() -> list[float]:
        clock = ManualClock()
        paced, called = pacer(rate, clock), []
        for pause in pauses:
            clock.advance(pause)
            await paced.acquire()
            called.append(clock.elapsed)
        return called

    called = asyncio.run(call_with_pauses())

    for start in called:
        assert sum(start <= at < start + 10 for at in called) <= rate * 11 + 1


async def test_a_first_burst_is_not_given_away() -> None:
    """A new pacer has nothing to catch up with, so that a page after a page of one row each keep the pace."""
    clock = ManualClock()

    for _ in range(3):
        await pacer(5, clock).acquire()

    assert pytest.approx(0.6) == clock.elapsed


async def test_throttling_halves_the_rate_once_for_calls_in_flight_together() -> None:
    """Calls that were throttled at the same moment count once; the rate never falls to nothing."""
    clock = ManualClock()
    paced = pacer(20, clock)
    for _ in range(8):
        paced.slow_down()
    first = paced.rate
    for _ in range(20):
        clock.advance(1)
        paced.slow_down()

    assert (first, paced.rate, paced.throttled) == (10, 1, 28)


async def test_the_rate_grows_back_to_the_share_and_no_further() -> None:
    """Calls that the vault takes raise the rate by and by, up to the share."""
    paced = pacer(20, ManualClock())
    paced.slow_down()
    rates = []
    for _ in range(40):
        paced.succeeded()
        rates.append(paced.rate)

    assert rates[0] == pytest.approx(10.4)
    assert sorted(rates) == rates
    assert rates[-1] == 20


async def test_a_throttled_unwrap_is_made_again(local_keyring: LocalKeyring) -> None:
    """A 429 without Retry-After costs a wait and a slower pace, and the DEK is unwrapped all the same."""
    version = await local_keyring.mek.create()
    ref = await local_keyring.add(version)
    row = await local_keyring.row(ref, "f" * 32)
    assert row.wrapped is not None
    clock = ManualClock()
    vault = PacedVault(local_keyring.mek.client, pacer(100, clock))
    local_keyring.mek.fault(operation="unwrap", kind="throttle", count=3)

    dek = await vault.unwrap(row.wrapped, version, "RSA-OAEP-256")

    assert local_keyring.deks[ref.id].reveal() == dek
    assert (vault.pacer.throttled, vault.pacer.operations) == (3, 4)
    assert [seconds for seconds in clock.slept if seconds >= 1] == [1, 2, 4]
    assert vault.pacer.rate < 100


@pytest.mark.parametrize("kind", ["throttle", "reset_before"])
async def test_a_vault_that_stays_away_is_for_a_later_attempt(local_keyring: LocalKeyring, kind: str) -> None:
    """After the last back-off the failure is transient, with the SDK's own error behind it."""
    version = await local_keyring.mek.create()
    row = await local_keyring.row(await local_keyring.add(version), "f" * 32)
    assert row.wrapped is not None
    vault = PacedVault(local_keyring.mek.client, pacer(1000, ManualClock()))
    local_keyring.mek.fault(operation="unwrap", kind=kind, count=None)

    with pytest.raises(UnavailableError):
        await vault.unwrap(row.wrapped, version, "RSA-OAEP-256")

    assert len(BACKOFF_SECONDS) + 1 == vault.pacer.operations


async def test_a_refused_unwrap_is_not_repeated(local_keyring: LocalKeyring) -> None:
    """What the vault refuses for good costs one call."""
    version = await local_keyring.mek.create()
    vault = PacedVault(local_keyring.mek.client, pacer(100, ManualClock()))

    with pytest.raises(UnwrapRefusedError):
        await vault.unwrap(bytes(256), version, "RSA-OAEP-256")

    assert vault.pacer.operations == 1
