"""The tables of docs/operations.md, out of the model by which pre-flight plans a rotation.

    python -m tools.capacity [NAME]

What pre-flight does not plan with, because no setting names it, stands here: what a managed HSM does.
Source: "Azure Managed HSM scaling guidance" (learn.microsoft.com/azure/key-vault/managed-hsm/scaling-guidance) for
operations a second and partition, of which one is guaranteed; the price is one that third parties state in agreement.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Literal

from keyturn.contracts.base import Policy, ProofScope
from keyturn.errors import InvariantError
from keyturn.key_vault.pacing import LIMITS, operations_per_second
from keyturn.preflight.plan import REQUEST_UNITS_REWRAP, estimate
from keyturn.runs.record_parts import Plan

SIZES = (1_000, 10_000, 100_000, 1_000_000, 10_000_000)  # rows
SHARE = 0.7  # of the vault, as by default
LARGEST = SIZES[-1]
VAULTS = (1, 2, 3, 4, 5)  # a subscription admits five times what a vault does, in one region

MANAGED_HSM_UNWRAPS: Mapping[int, float] = {2048: 1100, 3072: 360, 4096: 160}  # a second, one partition
MANAGED_HSM_USD_HOUR = 3.20
HOURS_A_MONTH = 730

type KeyType = Literal["RSA", "RSA-HSM"]
KINDS: tuple[KeyType, ...] = ("RSA", "RSA-HSM")
KEYS: Mapping[str, tuple[KeyType, int]] = {
    f"{kind} {size}": (kind, size) for kind in KINDS for size in sorted({size for _, size in LIMITS})
}


def _policy(key_size: int, operations: float, *, whole: bool) -> Policy:
    """Return the default policy at this budget; unless the rotation is ``whole``, of the sweep alone."""
    defaults = Policy(vault_operations_per_second=operations).model_copy(update={"key_size": key_size})
    if whole:
        return defaults
    return defaults.model_copy(update={"soak": timedelta(0), "watch": timedelta(0), "proof": ProofScope("unsafe_off")})


def _plan(rows: int, key_type: KeyType, key_size: int, *, whole: bool, operations: float | None = None) -> Plan:
    budget = operations or operations_per_second(key_type, key_size, SHARE)
    policy = _policy(key_size, budget, whole=whole)
    return estimate(rows_by_version={"old": rows}, policy=policy, key_type=key_type, old_key_size=key_size)


def sweep_times() -> str:
    """Return how long the rows take to move, by key type."""
    return _by_key(lambda rows, kind, size: _time(_plan(rows, kind, size, whole=False)))


def rotation_times() -> str:
    """Return how long the whole takes under the default policy, without the time that people take to decide."""
    return _by_key(lambda rows, kind, size: _time(_plan(rows, kind, size, whole=True)))


def costs() -> str:
    """Return what the vault charges for a rotation in which every row is proven."""
    return _by_key(lambda rows, kind, size: f"${_cost(_plan(rows, kind, size, whole=True)):,.2f}")


def work() -> str:
    """Return what a rotation asks of vault and database, whatever the key."""
    plans = [_plan(size, "RSA", 4096, whole=True) for size in SIZES]
    rows = [[f"{plan.rows:,}", f"{plan.vault_operations:,}", f"{plan.request_units:,.0f}"] for plan in plans]
    budget = operations_per_second("RSA", 4096, SHARE)
    load = f"While rows move at {budget:.0f} a second (RSA 4096), that is {budget * REQUEST_UNITS_REWRAP:.0f} RU/s."
    return f"{_table(['rows', 'vault operations', 'request units'], rows)}\n\n{load}"


def several_vaults() -> str:
    """Return what several vaults, or a managed HSM, make of the largest store."""
    rows = []
    for vaults in VAULTS:
        sweep, whole = (_plan(LARGEST // vaults, "RSA", 4096, whole=whole) for whole in (False, True))
        named = f"{vaults} vault{'s' if vaults > 1 else ''}, RSA 4096"
        rows.append([named, _time(sweep), _time(whole), f"${vaults * _cost(whole):,.0f} a rotation"])
    month = f"${MANAGED_HSM_USD_HOUR * HOURS_A_MONTH:,.0f} a month"
    for size, unwraps in sorted(MANAGED_HSM_UNWRAPS.items(), reverse=True):
        budget = unwraps * SHARE
        sweep, whole = (_plan(LARGEST, "RSA-HSM", size, whole=whole, operations=budget) for whole in (False, True))
        named = f"managed HSM, RSA-HSM {size}, {budget:.0f} a second"
        rows.append([named, _time(sweep), _time(whole), month])
    return _table([f"{LARGEST:,} rows", "sweep", "rotation", "cost"], rows)


def _time(plan: Plan) -> str:
    return duration(_known(plan.seconds))


def _cost(plan: Plan) -> float:
    return _known(plan.cost_usd)


def _known(figure: float | None) -> float:
    if figure is None:
        raise InvariantError("a rotation's plan always has its time and its cost")
    return figure


def duration(seconds: float) -> str:
    """Return a time as people say it."""
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= length * 1.5 or (unit == "min" and seconds >= length):
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.0f} s"


def _by_key(cell: Callable[[int, KeyType, int], str]) -> str:
    return _table(
        ["rows", *KEYS], [[f"{rows:,}", *(cell(rows, kind, size) for kind, size in KEYS.values())] for rows in SIZES]
    )


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---:"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


# By the names that mark their places in the page.
TABLES: Mapping[str, Callable[[], str]] = {
    "sweep": sweep_times,
    "rotation": rotation_times,
    "work": work,
    "cost": costs,
    "vaults": several_vaults,
}


def main(arguments: Sequence[str]) -> int:
    """Print the tables that are named, or all; returns the exit code."""
    if unknown := set(arguments) - set(TABLES):
        sys.stderr.write(f"unknown: {', '.join(sorted(unknown))}; expected {', '.join(TABLES)}\n")
        return 64
    for name in arguments or TABLES:
        sys.stdout.write(f"<!-- capacity {name} -->\n{TABLES[name]()}\n<!-- end -->\n\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
