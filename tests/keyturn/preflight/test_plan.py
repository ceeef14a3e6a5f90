"""The plan: what the rows take, at the budget in force."""

from datetime import timedelta
from typing import Any

import pytest

from keyturn.contracts.base import Policy
from keyturn.preflight.plan import estimate
from keyturn.runs.record_parts import Plan

QUICK: dict[str, Any] = {"soak": timedelta(0), "watch": timedelta(0)}


def planned(rows: int, *, key_type: Any = "RSA", old_key_size: int = 4096, **policy: Any) -> Plan:
    """Return the plan for so many rows."""
    return estimate(rows_by_version={"a": rows}, policy=Policy(**policy), key_type=key_type, old_key_size=old_key_size)


@pytest.mark.parametrize(
    ("proof", "operations"), [("all", 2_000), ("sample:50", 1_050), ("sample:5000", 2_000), ("unsafe_off", 1_000)]
)
def test_each_row_is_unwrapped_once_and_proven_as_the_policy_says(proof: str, operations: int) -> None:
    """Wraps are local and cost the vault nothing."""
    assert planned(1_000, proof=proof).vault_operations == operations


def test_a_million_rows_take_hours_at_the_default_budget() -> None:
    """35 operations a second move a million rows in 8 hours; proving them at half the rate takes twice that."""
    plan = planned(1_000_000, **QUICK)

    assert pytest.approx(3 * 1_000_000 / 35) == plan.seconds
    assert pytest.approx(14_000_000) == plan.request_units
    assert pytest.approx(30.0) == plan.cost_usd


def test_the_soak_is_waited_for_where_proving_takes_less() -> None:
    """The time to the end of the trial period counts, whatever is done in it."""
    plan = planned(35, soak=timedelta(hours=24), watch=timedelta(minutes=30))

    assert pytest.approx(1 + 24 * 3600 + 1800) == plan.seconds


@pytest.mark.parametrize(
    ("key_size", "key_type", "cost"),
    [(2048, "RSA", 0.06), (3072, "RSA", 0.18), (4096, "RSA", 0.18), (4096, "RSA-HSM", 5.18), (2048, "RSA-HSM", 1.06)],
)
def test_the_price_follows_both_keys(key_size: int, key_type: str, cost: float) -> None:
    """Rows are unwrapped under a key of the old size and proven under one of the new; an HSM charges for a version."""
    assert pytest.approx(cost) == planned(10_000, key_size=key_size, old_key_size=2048, key_type=key_type).cost_usd


def test_an_empty_store_costs_nothing() -> None:
    """No rows, no operations."""
    plan = planned(0, **QUICK)

    assert (plan.rows, plan.vault_operations, plan.request_units, plan.seconds, plan.cost_usd) == (0, 0, 0.0, 0.0, 0.0)
