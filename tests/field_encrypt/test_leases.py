"""Counting by leases: a bound holds whoever asks at the same time, and whatever is lost with a process that dies."""

from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from field_encrypt.dek import Dek
from field_encrypt.derivation import for_one_use
from field_encrypt.key_policy import KeyPolicy
from field_encrypt.leases import Lease, asked_for, granted
from field_encrypt.places import FieldPlace

DEK = Dek(bytes(range(32)))
PLACE = FieldPlace(container="notes", document_id="note-1", field_path="title", partition_key="w-1")


class Row:
    """The counter of a row: it only ever grows."""

    def __init__(self) -> None:
        self.uses = 0

    def reserve(self, asked: int) -> int:
        """Add, and return what came out."""
        self.uses += asked
        return self.uses


@given(
    bound=st.integers(1, 2_000),
    steps=st.lists(
        st.tuples(st.integers(0, 3), st.integers(1, 5), st.sampled_from(["use", "die", "lose"])), max_size=300
    ),
)
def test_bound_is_never_exceeded(bound: int, steps: list[tuple[int, int, str]]) -> None:
    """Four processes use, die with their leases, or lose the answer to a reservation: never is a DEK used too often."""
    policy, row, used = KeyPolicy(max_uses=bound), Row(), 0
    leases = [Lease(policy, "dek-1", "v1", DEK, float("inf")) for _ in range(4)]
    for process, needed, what in steps:
        if what == "die":
            leases[process] = Lease(policy, "dek-1", "v1", DEK, float("inf"))
            continue
        lease = leases[process]
        lacking, _ = lease.lacking(needed, 0)
        if lacking:
            asked = asked_for(bound, lacking)
            counter = row.reserve(asked)
            if what == "lose":
                continue
            lease.uses += granted(bound, asked, counter)
        if lease.covers(needed, 0):
            lease.take(needed, 0)
            used += needed

    assert used <= bound
    assert used <= row.uses


@pytest.mark.parametrize(("bound", "writes"), [(1_000_000, 100), (10_000, 100), (50, 50), (1, 1)])
def test_a_whole_bound_is_used_in_a_hundred_writes(bound: int, writes: int) -> None:
    """One process alone uses all that the policy allows, and writes far less often than it uses."""
    row, used, reservations = Row(), 0, 0
    lease = Lease(KeyPolicy(max_uses=bound), "dek-1", "v1", DEK, float("inf"))
    while True:
        if not lease.covers(1, 0):
            asked = asked_for(bound, 1)
            lease.uses += granted(bound, asked, row.reserve(asked))
            if not lease.covers(1, 0):
                break
            reservations += 1
        lease.take(1, 0)
        used += 1

    assert (bound, writes) == (used, reservations)


def test_nothing_is_counted_without_a_bound() -> None:
    """An unbounded lease ends by its time only."""
    now = [0.0]
    lease = Lease(KeyPolicy(), "dek-1", "v1", DEK, 60.0, clock=lambda: now[0])
    lease.take(10**9, 1)

    assert asked_for(None, 5) == 0
    assert lease.covers(10**9, 1)
    now[0] = 60.0
    assert not lease.covers(1, 1)


@pytest.mark.parametrize(
    "uses", [200_000, pytest.param(10_000_000, marks=[pytest.mark.long, pytest.mark.timeout(900)])]
)
def test_no_key_and_nonce_occur_twice(uses: int) -> None:
    """Every use of one DEK in one place has a key of its own, so no pair of key and nonce can occur twice.

    Eight bytes of each key are compared: of ten million different keys, two agree in them once in 370,000 runs.
    """
    data = PLACE.additional_data("dek-1")
    keys = [array("Q") for _ in range(256)]
    for _ in range(uses):
        _, _, derived = for_one_use(DEK, data)
        keys[derived.key[0]].append(int.from_bytes(derived.key[1:9]))

    assert sum(len(set(some)) for some in keys) == uses
