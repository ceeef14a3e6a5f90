"""What the page of a run shows: taken from its record and its audit chain, and nothing that is secret in either."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from keyturn.audit.events import TYPE_PREFIX
from keyturn.audit.verify import VerifyResult, verify_chain
from keyturn.console.charts import MARKS, Bar, Curve, Mark, Step, bars_of, curves_of, lasting, moment, steps_of, words
from keyturn.console.orders import Order, orders_on_run
from keyturn.console.sessions import Visitor
from keyturn.contracts.base import read_json
from keyturn.contracts.pages import DEKS, QuarantinedRow
from keyturn.diagnosis.models import NEXT_STEPS, filled
from keyturn.errors import InvariantError
from keyturn.migrations.status import MigrationStatus, migration_status
from keyturn.preflight.checks import waiver_of
from keyturn.rotation.status import Status, status
from keyturn.runs.evidence_summary import Finding, findings_of, verdict
from keyturn.runs.record import RunRecord
from keyturn.runs.records import MigrationRecord, RotationRecord

EVENTS_SHOWN = 200  # the newest; the chain may be longer, and is exported in whole
UNREADABLE_SHOWN = 500  # bytes of an event that is none


@dataclass(frozen=True)
class CheckLine:
    """One check, of the pre-flight or of the verification."""

    mark: str  # pass, fail, waived
    name: str
    detail: str
    hint: str = ""


@dataclass(frozen=True)
class QuarantinedLine:
    """A row or document that cannot be worked on."""

    id: str
    reason: str
    next_step: str
    version: str
    dek: bool  # whether the id is a DEK's, which can be diagnosed


@dataclass(frozen=True)
class DecisionLine:
    """A decision, in force or void."""

    what: str
    by: str
    at: str
    comment: str
    digest: str
    in_force: bool


@dataclass(frozen=True)
class EventLine:
    """An event of the audit chain."""

    sequence: str
    what: str
    at: str
    facts: str


@dataclass(frozen=True)
class Chain:
    """The audit chain: whether it holds, and where it ends."""

    head: str
    broken: str  # what is wrong with it, and where; empty where nothing is
    events: Sequence[EventLine]
    omitted: int


@dataclass(frozen=True)
class RunPage:
    """A run as its page shows it."""

    record: RunRecord
    told: Status | MigrationStatus
    title: str
    mark: Mark
    facts: Sequence[tuple[str, str]]
    steps: Sequence[Step]
    pace: Sequence[str]
    waits_for: str
    bars: Sequence[Bar]
    curves: Sequence[Curve]
    quarantined: Sequence[QuarantinedLine]
    stale_writers: str
    checks: Sequence[CheckLine]
    findings: Sequence[Finding]
    verdict: str
    decisions: Sequence[DecisionLine]
    commands: Sequence[tuple[str, str]]
    chain: Chain
    orders: Sequence[Order]

    @property
    def active(self) -> bool:
        """Tell whether the run goes on, so that the page is to be loaded again."""
        return not self.record.ended

    @property
    def items(self) -> str:
        """What the run works on, as a heading has it."""
        return "Rows" if _of_rows(self.record) else "Documents"


def run_page(record: RunRecord, chain: Sequence[bytes], visitor: Visitor | None, now: datetime) -> RunPage:
    """Return what the visitor, if any, sees of the run; ``chain`` is the export of its audit chain, by lines."""
    told = _status(record)
    # What was changed after the freeze may lack anything, and says nothing.
    findings = findings_of(record.evidence) if record.evidence is not None and record.evidence_intact else []
    plan = record.preflight.plan if isinstance(record, RotationRecord) and record.preflight is not None else None
    census = record.census.by_version if record.census is not None else None
    waits = told.waits_for
    return RunPage(
        record=record,
        told=told,
        title=f"{_kind(record)} of {record.keyring}: {words(record.state)}",
        mark=MARKS.get(record.state, "none"),
        facts=list(_facts(record)),
        steps=steps_of(record, now),
        pace=list(_pace(told)),
        waits_for="" if waits is None else waits.what + (f", until {moment(waits.until)}" if waits.until else ""),
        bars=bars_of(plan.rows_by_version if plan is not None else None, census, told.target_version),
        curves=curves_of(record),
        quarantined=[_quarantined(record, found) for found in record.quarantined.named],
        stale_writers=_stale_writers(record),
        checks=list(_checks(record)),
        findings=findings,
        verdict=verdict(findings),
        decisions=[
            DecisionLine(one.decision, one.by, moment(one.at), one.comment, one.digest, one == record.decision)
            for one in record.taken
        ],
        commands=[(moment(one.at), f"{one.command}, by {one.by}") for one in record.commands],
        chain=chain_of(chain),
        orders=orders_on_run(record, visitor, now) if visitor is not None else (),
    )


def _status(record: RunRecord) -> Status | MigrationStatus:
    if isinstance(record, RotationRecord):
        return status(record)
    if isinstance(record, MigrationRecord):
        return migration_status(record)
    raise InvariantError("there is no page of a run of this kind", kind=record.kind)


def _kind(record: RunRecord) -> str:
    if isinstance(record, MigrationRecord):
        return f"Migration ({record.work.kind}{', dry run' if record.dry_run else ''})"
    dry = isinstance(record, RotationRecord) and record.options.dry_run
    return "Dry run of a rotation" if dry else "Rotation"


def _facts(record: RunRecord) -> Iterator[tuple[str, str]]:
    yield "Run", record.run_id
    yield "Asked for by", record.requested_by
    yield "Asked for at", moment(record.requested_at)
    if record.reason:
        yield "Reason", record.reason
    if detail := record.history[-1].detail:
        yield "Last said", detail
    if record.error is not None:
        yield "Failed with", f"{record.error.type}: {record.error.message}"
    if record.ended_at is not None:
        yield "Ended at", f"{moment(record.ended_at)}, after {lasting(record.ended_at - record.requested_at)}"
    if isinstance(record, RotationRecord):
        yield "Old versions", ", ".join(record.old_versions) or "not known yet"
        yield "New version", record.target_version or "not made yet"
        if record.retired:
            yield "Retired", ", ".join(record.retired)
        if record.reinstated:
            yield "Enabled again", ", ".join(record.reinstated)
    elif isinstance(record, MigrationRecord) and record.versions:
        yield "Versions", ", ".join(record.versions)


def _pace(told: Status | MigrationStatus) -> Iterator[str]:
    counts = told.counts.get(told.phase)  # type: ignore[call-overload]  # a state, which has no counts, is no phase
    if counts is not None:
        total = f" of {counts.rows_total:,}" if counts.rows_total is not None else ""
        yield f"{counts.changed:,}{total} done in {told.phase}, pass {counts.pass_number}"
    if told.rows_per_second is not None:
        yield f"{told.rows_per_second:,.1f} rows a second"
    if told.eta_seconds is not None:
        yield f"about {lasting(timedelta(seconds=told.eta_seconds))} left"
    if told.vault is not None and told.vault.used is not None:
        yield f"{told.vault.used:,.1f} of {told.vault.budget:,.1f} vault operations a second"
    if told.vault is not None and told.vault.throttled:
        yield f"throttled {told.vault.throttled:,} times"


def _quarantined(record: RunRecord, found: QuarantinedRow) -> QuarantinedLine:
    advice = filled(NEXT_STEPS.get(found.reason, "diagnose it"), record.keyring)
    # Of documents the id is <container>/<id>, and only a diagnosis names the DEK.
    dek = _of_rows(record)
    return QuarantinedLine(found.id, words(found.reason), advice, found.mek_version or "none", dek=dek)


def _of_rows(record: RunRecord) -> bool:
    return all(known.source == DEKS for known in record.progress.values())


def _stale_writers(record: RunRecord) -> str:
    if not isinstance(record, RotationRecord) or not record.stale_writers.count:
        return ""
    seen = record.stale_writers
    rows = "row was" if seen.count == 1 else "rows were"
    return (
        f"{seen.count:,} {rows} written under an old version after the new one existed, the last at "
        f"{moment(seen.last_seen)}: what such a writer creates after the retirement, nobody can read"
    )


def _checks(record: RunRecord) -> Iterator[CheckLine]:
    if not isinstance(record, RotationRecord):
        return
    for check in record.preflight.checks if record.preflight is not None else []:
        waiver = waiver_of(record, check.name) if check.outcome == "waived" else None
        waived = f" Waived by {waiver.by}: {waiver.why}" if waiver is not None else ""
        yield CheckLine(check.outcome, words(check.name), f"{check.detail}{waived}", check.hint)
    for canary in record.canaries:
        yield CheckLine(canary.outcome, f"canary {canary.container}/{canary.document_id}", canary.detail)
    for probe in record.probes:
        yield CheckLine(probe.outcome, f"probe {probe.url}", probe.detail)
    for missing in record.references:
        named = f"document {missing.container}/{missing.document_id}"
        yield CheckLine("fail", named, f"it names DEK {missing.dek_id}, which the dek store lacks")


def chain_of(lines: Sequence[bytes]) -> Chain:
    """Return the chain that these lines are, verified."""
    found: VerifyResult = verify_chain(lines)
    broken = found.broken
    return Chain(
        head=found.head or "none yet",
        broken="" if broken is None or not lines else f"line {broken.line} is {broken.problem}: {broken.detail}",
        events=[_event(line) for line in lines[-EVENTS_SHOWN:]],
        omitted=max(0, len(lines) - EVENTS_SHOWN),
    )


def _event(line: bytes) -> EventLine:
    """Return what an event says; one that was changed may say anything, and the page is shown all the same."""
    try:
        event: dict[str, Any] = read_json(line)
        at, data = datetime.fromisoformat(event["time"]), dict(event["data"])
        facts = ", ".join(f"{name}: {_fact(value)}" for name, value in data.items() if value not in (None, "", []))
        what = words(str(event["type"]).removeprefix(TYPE_PREFIX))
        return EventLine(str(int(event["sequence"])), what, moment(at), facts)
    except (ValueError, TypeError, LookupError):
        return EventLine("", "unreadable", "", line[:UNREADABLE_SHOWN].decode(errors="replace"))


def _fact(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
