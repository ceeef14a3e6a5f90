"""A run's report as tables: what it is, checks, plan, versions, rows, quarantined, evidence, decisions, history."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from keyturn.cli.status_view import about, census_line
from keyturn.cli.tables import facts, heading, moment, table

if TYPE_CHECKING:
    from rich.console import RenderableType

_VERSIONS = {
    "target": "targetVersion",
    "old": "oldVersions",
    "retired": "retired",
    "reinstated": "reinstated",
    "disabled, named by rows": "versions",
    "enabled for a time": "lent",
    "disabled again": "returned",
}
_PLAN = {
    "rows": "rows",
    "vault operations": "vaultOperations",
    "request units": "requestUnits",
    "seconds": "seconds",
    "cost (USD)": "costUsd",
}
_INTACT = {True: "it hashes to its digest", False: "it does NOT hash to its digest: keep a copy, and abort the run"}


def report_parts(report: dict[str, Any]) -> "Iterator[RenderableType]":
    """Yield the report's parts; ``report`` is what the app answers."""
    status, record = report["status"], report["record"]
    yield facts(_head(status, record))
    yield from _section("Checks", ("check", "outcome", "found, and what to do"), _checks(record))
    plan = (record.get("preflight") or {}).get("plan") or record.get("plan")
    yield from _facts("Plan", [(name, _number((plan or {}).get(key))) for name, key in _PLAN.items()])
    yield from _facts("Versions", [(name, _listed(record.get(key))) for name, key in _VERSIONS.items()])
    yield from _census(record.get("census"))
    yield from _section("Phases", ("phase", "changed", "unchanged", "gone", "quarantined", "429"), _phases(status))
    yield from _facts("Proof", _proof(record.get("proof")))
    writers = record.get("staleWriters") or {}
    seen = f"{writers['count']:,}, the last {moment(writers.get('lastSeen'))}" if writers.get("count") else None
    yield from _facts("Stale writers", [("rows", seen)])
    held = record.get("quarantined") or {}
    named = ([row["id"], row["reason"], row.get("mekVersion")] for row in held.get("named") or [])
    yield from _section(f"Quarantined: {held.get('count', 0):,}", ("row or document", "reason", "version"), named)
    looked = [*(record.get("canaries") or []), *(record.get("probes") or [])]
    rows = ([one.get("url") or f"{one['container']}/{one['documentId']}", one["outcome"]] for one in looked)
    yield from _section("Canaries and probes", ("looked at", "outcome"), rows)
    intact = _INTACT.get(report.get("evidenceIntact"))  # type: ignore[arg-type]  # None has no text
    yield from _facts("Evidence", [("digest", record.get("evidenceDigest")), ("hashed again", intact)])
    taken = [*(record.get("decisions") or []), *([record["decision"]] if record.get("decision") else [])]
    told = ([one["decision"], one["by"], moment(one["at"]), one.get("comment")] for one in taken)
    yield from _section("Decisions", ("decision", "by", "at", "comment"), told)
    history = ([moment(one["at"]), one["to"], one["actor"], one.get("detail")] for one in record.get("history") or [])
    yield from _section("History", ("at", "state", "by", "detail"), history)


def _head(status: dict[str, Any], record: dict[str, Any]) -> Iterable[tuple[str, str | None]]:
    yield "run", about(status)
    yield "keyring", status.get("keyring")
    yield "state", status["state"]
    yield "because", status.get("detail")
    yield "reason given", status.get("reason")
    yield "requested", moment(status.get("requestedAt"))
    yield "ended", moment(status.get("endedAt"))
    error = record.get("error")
    yield "failure", f"{error['type']}: {error['message']}" if error else None


def _checks(record: dict[str, Any]) -> Iterator[list[Any]]:
    for check in (record.get("preflight") or {}).get("checks") or []:
        yield [check["name"], check["outcome"], ". ".join(filter(None, [check.get("detail"), check.get("hint")]))]


def _census(census: dict[str, Any] | None) -> "Iterator[RenderableType]":
    if census is not None:
        yield from _section(f"Census: {census_line(census)}", ("version", "rows"), sorted(census["byVersion"].items()))


def _phases(status: dict[str, Any]) -> Iterator[list[Any]]:
    for name, counts in (status.get("counts") or {}).items():
        yield [name, *(_number(counts[key]) for key in ("changed", "unchanged", "gone", "quarantined", "throttled"))]


def _proof(proof: dict[str, Any] | None) -> Iterator[tuple[str, str | None]]:
    if proof is not None:
        yield "scope", proof["mode"]
        yield "proven", f"{proof['proven']:,}, {proof['quarantined']:,} quarantined, {proof['gone']:,} gone meanwhile"
        yield "warning", proof.get("warning")


def _section(title: str, names: Iterable[str], rows: Iterable[Iterable[object]]) -> "Iterator[RenderableType]":
    """Yield a table under its heading, or nothing where it has no row."""
    if listed := list(rows):
        yield heading(title)
        yield table(names, listed)


def _facts(title: str, pairs: Iterable[tuple[str, str | None]]) -> "Iterator[RenderableType]":
    if told := [(name, value) for name, value in pairs if value]:
        yield heading(title)
        yield facts(told)


def _listed(value: object) -> str | None:
    return ", ".join(map(str, value)) if isinstance(value, list) else None if value is None else str(value)


def _number(value: float | None) -> str | None:
    return None if value is None else f"{round(value, 4):,}"
