"""What a rotation takes: vault operations, request units, time and money. The only place that holds these figures.

The figures are estimates for planning, and say so where their source does:

* one unwrap a row, because wraps are local; one more to prove a row;
* request units: "Optimize request cost in Azure Cosmos DB" (a point read of 1 KB is 1 RU, an insert about 5.5, a
  replace about twice an insert; a patch is no cheaper than a replace), and a share of reading the change feed;
* prices: Key Vault's pricing as third parties state it in agreement; the official page was not at hand. Cosmos DB is
  paid by provisioned throughput or by request units, which depends on the account, and is not included.
"""

from collections.abc import Mapping
from typing import Literal

from field_encrypt.mek_versions import MekVersion
from keyturn.contracts.base import Policy
from keyturn.contracts.passes import CensusResult
from keyturn.deks.census import OTHER_LABELS
from keyturn.runs.record_parts import Plan

REQUEST_UNITS_REWRAP = 12.0  # a row: its share of a feed page, a point read, a conditional patch
REQUEST_UNITS_PROOF = 2.0  # a row: its share of a feed page, a point read

# US dollars for 10,000 operations. RSA-3072 and 4096 are "advanced" keys.
USD_10K_OPERATIONS: Mapping[int, float] = {2048: 0.03, 3072: 0.15, 4096: 0.15}
# US dollars a month for a key version in an HSM that was used in the last 30 days (the first 250 of a subscription).
USD_MONTH_HSM_VERSION: Mapping[int, float] = {2048: 1.0, 3072: 5.0, 4096: 5.0}

UNLABELLED = "(unlabelled)"


def estimate(
    *, rows_by_version: Mapping[str, int], policy: Policy, key_type: Literal["RSA", "RSA-HSM"], old_key_size: int
) -> Plan:
    """Return what rewrapping and proving these rows takes under the policy.

    ``rows_by_version`` counts the rows that a rotation moves, by whatever wraps them; ``old_key_size`` is that of the
    versions they are under, in bits. Seconds run from the first page to the end of the trial period, without the time
    that people take to decide.
    """
    rows = sum(rows_by_version.values())
    proofs = policy.proof.rows_of(rows)
    sweep = rows / policy.vault_operations_per_second
    proof = proofs / (policy.vault_operations_per_second * policy.proof_share)
    cost = (rows * _price(old_key_size) + proofs * _price(policy.key_size)) / 10_000
    if key_type == "RSA-HSM":
        cost += USD_MONTH_HSM_VERSION[policy.key_size]
    return Plan(
        rows=rows,
        rows_by_version=dict(rows_by_version),
        vault_operations=rows + proofs,
        request_units=rows * REQUEST_UNITS_REWRAP + proofs * REQUEST_UNITS_PROOF,
        seconds=sweep + max(policy.soak.total_seconds(), proof) + policy.watch.total_seconds(),
        cost_usd=round(cost, 4),
    )


def plan_of(census: CensusResult | None, newest: MekVersion | None, policy: Policy) -> Plan | None:
    """Return the plan of a rotation of the counted rows; None where they were not counted or the MEK is not known."""
    if census is None or newest is None:
        return None
    by_version = {version: count for version, count in census.by_version.items() if version != OTHER_LABELS}
    others = {UNLABELLED: census.unlabelled, OTHER_LABELS: census.by_version.get(OTHER_LABELS, 0)}
    return estimate(
        rows_by_version={**by_version, **{name: count for name, count in others.items() if count}},
        policy=policy,
        key_type="RSA-HSM" if newest.jwk.kty == "RSA-HSM" else "RSA",
        old_key_size=newest.key_size or policy.key_size,
    )


def _price(key_size: int) -> float:
    return USD_10K_OPERATIONS.get(key_size, max(USD_10K_OPERATIONS.values()))
