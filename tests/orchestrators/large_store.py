"""A dek store of very many rows as the app's workflows meet it: activities that answer for it, and work nothing.

What workflows leave in durable history follows from what activities answer: as many rows, ids, cursors and session
tokens as a real store of that size has, as large as the real ones are.
"""

import base64
import hashlib
import json
import random
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

from keyturn.contracts.base import Payload, RunRef
from keyturn.contracts.pages import PAGE_BYTES_MAX, PageInput, PageResult, RangesResult, RowRef, ScanInput, ScanResult
from keyturn.contracts.passes import BudgetInput, BudgetResult, CensusInput, CensusResult, ProgressInput, ProgressResult
from keyturn.contracts.steps import (
    CommandResult,
    DecisionResult,
    FreezeResult,
    PreflightResult,
    RetireResult,
    VerifyResult,
    VersionResult,
)

TARGET, OLD = "f" * 32, "0" * 32
SCANNED_MAX = 5_000  # rows that a scan reads before it reports back


def bounds(count: int) -> list[tuple[str, str]]:
    """Return the bounds of so many feed ranges, as unlike each other as hashes are."""
    drawn = random.Random(count)  # noqa: S311 - the same at every run
    inner = sorted(f"{drawn.getrandbits(128):032X}" for _ in range(count - 1))
    return list(pairwise(["", *inner, "FF"]))


def feed_range(low: str, high: str) -> str:
    """Return a feed range's text as the core has it."""
    return json.dumps({"Range": _range(low, high)}, sort_keys=True, separators=(",", ":"))


def cursor(low: str, high: str, *positions: int) -> str:
    """Return a continuation of the change feed as azure-cosmos 4.17.1 makes it, after a split with two positions."""
    middle = hashlib.sha256(low.encode()).hexdigest()[:32].upper()
    parts = [(low, high)] if len(positions) == 1 else [(middle, high), (low, middle)]
    continuation = [
        {"token": f'"{position}"', "range": _range(*part)} for position, part in zip(positions, parts, strict=True)
    ]
    state = {
        "v": "v2",
        "containerRid": "39yuyMTVhLA=",
        "mode": "LatestVersion",
        "startFrom": {"Type": "Beginning"},
        "continuation": {
            "v": "v2",
            "rid": "39yuyMTVhLA=",
            "continuation": continuation,
            "Range": _range(low, high),
        },
    }
    return base64.b64encode(json.dumps(state).encode()).decode()


def _range(low: str, high: str) -> dict[str, Any]:
    return {"min": low, "max": high, "isMinInclusive": True, "isMaxInclusive": False}


class Range:
    """One physical partition: its change feed, in which a row that was rewrapped stands again at the end."""

    def __init__(self, low: str, high: str, rows: int, id_length: int) -> None:
        self.bounds = (low, high)
        self.text = feed_range(low, high)
        self.feed = [str(uuid.uuid4()).ljust(id_length, "x") for _ in range(rows)]
        self.newest = {row: position for position, row in enumerate(self.feed)}
        self.moved: set[str] = set()

    def scan(self, request: ScanInput) -> ScanResult:
        """Read on from the cursor until a page is full."""
        position = start = _position(request.cursor)
        refs: list[RowRef] = []
        wanted = request.selection == "rewrapped"
        while position < len(self.feed) and len(refs) < request.page_rows and position - start < SCANNED_MAX:
            row = self.feed[position]
            if self.newest[row] == position and (row in self.moved) is wanted:
                ref = RowRef(id=row, partition=row)
                if (len(refs) + 1) * len(ref.model_dump_json()) > PAGE_BYTES_MAX:
                    break
                refs.append(ref)
            position += 1
        return ScanResult(
            refs=refs, cursor=cursor(*self.bounds, position), drained=position == start, scanned=position - start
        )

    def move(self, row: str) -> None:
        """Rewrap a row."""
        self.moved.add(row)
        self.newest[row] = len(self.feed)
        self.feed.append(row)


class LargeStore:
    """The store, and an approver who approves at once."""

    def __init__(self, rows: int, ranges: int, refusals: int = 0, id_length: int = 36) -> None:
        self.rows = rows
        self.refusals = refusals  # how often other runs leave nothing of the vault's budget
        self.ranges = {
            found.text: found for found in (Range(*one, rows // ranges, id_length) for one in bounds(ranges))
        }
        self.homes = {row: found for found in self.ranges.values() for row in found.feed}
        self.proven = 0
        self.states: list[str] = []

    def activities(self) -> dict[str, Callable[[Any, Any], Any]]:
        """Return every activity that a rotation calls, by name."""
        answers: dict[str, Payload] = {
            "preflight": PreflightResult(passed=True),
            "create_version": VersionResult(version=TARGET),
            "verify": VerifyResult(passed=True),
            "freeze_evidence": FreezeResult(evidence_digest="a" * 64),
            "read_decision": DecisionResult(decision="approved", decided_by="sam@example.com"),
            "read_command": CommandResult(command="none", seen=0),
            "retire_versions": RetireResult(retired=[OLD], stale=0),
            "notify": RunRef(run_id="", keyring="", fencing_token=0),
        }
        work = {
            "advance": self._advance,
            "list_ranges": lambda _: RangesResult(ranges=list(self.ranges)),
            "scan_page": lambda payload: self._scan(ScanInput.from_payload(payload)),
            "rewrap_page": lambda payload: self._rewrap(PageInput.from_payload(payload)),
            "prove_page": lambda payload: self._prove(PageInput.from_payload(payload)),
            "claim_budget": lambda payload: self._claim(BudgetInput.from_payload(payload)),
            "record_progress": lambda payload: self._progress(ProgressInput.from_payload(payload)),
            "take_census": lambda payload: self._census(CensusInput.from_payload(payload)),
        }
        fixed = {name: _always(answer) for name, answer in answers.items()}
        return {name: _enveloped(answer) for name, answer in {**fixed, **work}.items()}

    def _advance(self, payload: Any) -> Payload:
        self.states.append(payload["target"])
        return RunRef(run_id="", keyring="", fencing_token=0)

    def _scan(self, request: ScanInput) -> Payload:
        return self.ranges[request.range].scan(request)

    def _rewrap(self, request: PageInput) -> Payload:
        for ref in request.refs:
            self.homes[ref.id].move(ref.id)
        tokens = {self.homes[ref.id].text: f"0:1#{len(self.homes[ref.id].feed)}#1=-1" for ref in request.refs}
        return PageResult(
            changed=len(request.refs),
            vault_operations=len(request.refs),
            last_stale_write=datetime.now(UTC),
            session_tokens=tokens,
        )

    def _prove(self, request: PageInput) -> Payload:
        self.proven += len(request.refs)
        return PageResult(changed=len(request.refs), vault_operations=len(request.refs))

    def _claim(self, request: BudgetInput) -> Payload:
        self.refusals -= 1
        return BudgetResult(operations_per_second=0.0 if self.refusals >= 0 else request.operations_per_second)

    def _progress(self, request: ProgressInput) -> Payload:
        merged = {text: token for tokens in request.session_tokens for text, token in tokens.items()}
        return ProgressResult(session_tokens=merged, operations_per_second=request.operations_per_second)

    def _census(self, _request: CensusInput) -> Payload:
        moved = sum(len(found.moved) for found in self.ranges.values())
        return CensusResult(
            total=self.rows,
            on_target=moved,
            stale=self.rows - moved,
            unlabelled=0,
            foreign=0,
            by_version={OLD: self.rows - moved, TARGET: moved},
            rewrapped=moved,
        )


def _position(cursor: str | None) -> int:
    if cursor is None:
        return 0
    return int(json.loads(base64.b64decode(cursor))["continuation"]["continuation"][0]["token"].strip('"'))


def _always(answer: Payload) -> Callable[[Any], Payload]:
    return lambda _payload: answer


def _enveloped(work: Callable[[Any], Payload]) -> Callable[[Any, Any], Any]:
    return lambda _context, payload: {"result": work(payload).to_payload()}
