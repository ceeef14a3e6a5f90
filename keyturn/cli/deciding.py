"""``approve`` and ``reject``: a decision on the evidence that was shown, signed and sent.

What is shown is hashed here, and its digest goes into the decision: so what a person has read, or another has given
them the digest of, is what is decided on, whatever the app says.
"""

import json
import sys
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from keyturn.cli.client import ask
from keyturn.cli.config import target
from keyturn.cli.next_steps import decided, effect_of
from keyturn.cli.output import AsJson, echo, signing_secret, write
from keyturn.cli.rotations import By, Run, path_of
from keyturn.cli.tables import wrapped
from keyturn.cli.waiting import is_undecided
from keyturn.errors import DigestMismatchError, EvidenceAlteredError, InvalidRequestError, WrongStateError
from keyturn.ids import APPROVALS

if TYPE_CHECKING:
    from keyturn.runs.evidence_summary import Finding

SECRETS = "APPROVAL_WEBHOOK_SECRETS"

Digest = Annotated[str | None, typer.Option(help="decide on no other evidence than this: evidenceDigest in the status")]
ById = Annotated[
    str | None, typer.Option(envvar="KEYTURN_BY_ID", help="your object id in Entra ID, where people sign in")
]
SecretFile = Annotated[
    Path | None, typer.Option(help=f"file with a secret of the webhook; without it, the variable {SECRETS}")
]
Yes = Annotated[bool, typer.Option("--yes", help="ask nothing: for scripts")]


@dataclass(frozen=True)
class _Wanted:
    """What a person wants to say, as far as the options tell."""

    run: str
    decision: Literal["approve", "reject"]
    digest: str | None
    by: str | None
    by_id: str | None
    comment: str
    secret_file: Path | None
    acknowledge: Sequence[str]
    yes: bool


def approve(
    run: Run,
    digest: Digest = None,
    by: By = None,
    by_id: ById = None,
    comment: Annotated[str, typer.Option(help="kept with the decision")] = "",
    secret_file: SecretFile = None,
    acknowledge: Annotated[
        list[str] | None, typer.Option(metavar="WARNING", help="a warning that you have read; each must be named")
    ] = None,
    *,
    yes: Yes = False,
    reject: Annotated[bool, typer.Option("--reject", hidden=True)] = False,
    as_json: AsJson = False,
) -> None:
    """Show the evidence, ask, and approve it; whoever asked for the run cannot decide on it."""
    decision: Literal["approve", "reject"] = "reject" if reject else "approve"
    _decide(_Wanted(run, decision, digest, by, by_id, comment, secret_file, acknowledge or [], yes), as_json=as_json)


def reject(
    run: Run,
    comment: Annotated[str, typer.Option(help="why; kept with the decision")] = "",
    digest: Digest = None,
    by: By = None,
    by_id: ById = None,
    secret_file: SecretFile = None,
    *,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Show the evidence, ask, and reject it: nothing is disabled or enabled, and the run ends."""
    _decide(_Wanted(run, "reject", digest, by, by_id, comment, secret_file, [], yes), as_json=as_json)


def _decide(wanted: _Wanted, *, as_json: bool) -> None:
    if wanted.by is None:
        raise InvalidRequestError("--by: expected who decides", field="by", expected="a name or an address")
    secret = signing_secret(wanted.secret_file, SECRETS)
    called, asking = target(), not wanted.yes and sys.stdin.isatty()
    evidence: dict[str, Any] | None = None
    acknowledged = list(wanted.acknowledge) or None
    digest = wanted.digest
    if called.function_key or called.token_scope:
        report = ask(lambda api: api.get(f"{path_of(wanted.run)}/report"))
        evidence, digest = _evidence(wanted, report)
        acknowledged = _shown(wanted, report, evidence, digest, asking=asking)
    if digest is None:
        expected = "the digest of the evidence that you have looked at, because no key to read it with is set"
        raise InvalidRequestError.expected("digest", expected, named="--digest")
    if not (asking or wanted.yes or wanted.digest):
        raise InvalidRequestError.expected("yes", "--yes, or a terminal on which to ask", named="--yes")
    comment = _comment(wanted, asking=asking)
    if asking and not typer.confirm(f"{wanted.decision.capitalize()}, as {wanted.by}?", err=True):
        echo("nothing was decided", err=True)
        raise typer.Exit(1)
    body = {
        "rotationId": wanted.run,
        "decision": wanted.decision,
        "evidenceDigest": digest,
        "approver": wanted.by,
        "comment": comment,
        **({"approverId": wanted.by_id} if wanted.by_id else {}),
        **({"acknowledged": acknowledged} if acknowledged is not None and wanted.decision == "approve" else {}),
    }
    headers, signed = _signed(json.dumps(body), secret)
    answer = ask(lambda api: api.post(APPROVALS, signed, headers))
    write(answer, as_json=as_json, field=None if as_json else "decision")
    echo(decided(wanted.decision, wanted.run, effect_of(evidence)), err=True)


def _evidence(wanted: _Wanted, report: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """Return the evidence in force with its digest, hashed here.

    Raises:
        WrongStateError: no decision is waited for.
        EvidenceAlteredError: the evidence is not what the app says that it is.
        DigestMismatchError: it is not what was asked for.
    """
    from keyturn.runs.record import digest_found

    record, state = report["record"], report["status"]["state"]
    evidence = record.get("evidence")
    if not is_undecided(report["status"]) or evidence is None:
        hint = f"see what it does: keyturn watch {quote(wanted.run)}"
        raise WrongStateError(f"no decision is waited for: the run is {state}", hint=hint, state=state)
    found = digest_found(evidence)
    if found is None or found != record.get("evidenceDigest"):
        raise EvidenceAlteredError("the evidence is not what its digest names", found=found)
    if wanted.digest not in (None, found):
        hint = f"read it, and decide on it: keyturn report {quote(wanted.run)}"
        raise DigestMismatchError("other evidence is in force", hint=hint, rotationId=wanted.run, evidenceDigest=found)
    return evidence, found


def _shown(
    wanted: _Wanted, report: Mapping[str, Any], evidence: Mapping[str, Any], digest: str, *, asking: bool
) -> list[str]:
    """Show what was found, and return the warnings that are acknowledged: all of them, where it is to be approved.

    Raises:
        InvalidRequestError: a warning is not acknowledged, or what is acknowledged is none.
    """
    from keyturn.runs.evidence_summary import findings_of, to_look_at, verdict

    record, findings = report["record"], findings_of(evidence)
    echo(f"{wanted.run}: {verdict(findings)}", err=True)
    for finding in findings:
        _paragraph(finding.mark, f"{finding.sentence} {finding.if_approved}".strip())
    _paragraph("asked", f"by {record['requestedBy']}{f': {record["reason"]}' if record.get('reason') else ''}")
    _paragraph("if you", f"approve: {effect_of(evidence)}; until {record.get('approvalExpiresAt')}, then it expires")
    _paragraph("digest", digest)
    warnings = to_look_at(findings)
    if unknown := sorted(set(wanted.acknowledge) - {warning.key for warning in warnings}):
        known = ", ".join(warning.key for warning in warnings) or "none: there are no warnings"
        raise InvalidRequestError.expected("acknowledge", known, named=f"--acknowledge {unknown[0]}")
    return _acknowledged(wanted, warnings, asking=asking) if wanted.decision == "approve" else []


def _acknowledged(wanted: _Wanted, warnings: "Sequence[Finding]", *, asking: bool) -> list[str]:
    open_ones = [warning for warning in warnings if warning.key not in wanted.acknowledge]
    if open_ones and not asking:
        given = {"--digest": wanted.digest, "--comment": wanted.comment, "--secret-file": wanted.secret_file}
        named = [f"{option} {quote(str(value))}" for option, value in given.items() if value]
        named += [f"--acknowledge {quote(warning.key)}" for warning in warnings] + ["--yes"] * wanted.yes
        what = "warning is" if len(open_ones) == 1 else "warnings are"
        hint = " ".join([f"once you have read them: keyturn approve {quote(wanted.run)}", *named])
        raise InvalidRequestError(
            f"{len(open_ones)} {what} not acknowledged: {', '.join(warning.key for warning in open_ones)}",
            hint=hint,
            field="acknowledge",
            expected="every warning by its name",
        )
    for warning in open_ones:
        _paragraph(warning.mark, warning.sentence)
        _paragraph("", warning.if_approved)
        if not typer.confirm(f"Acknowledge {warning.key}?", err=True):
            echo("nothing was decided", err=True)
            raise typer.Exit(1)
    return [warning.key for warning in warnings]


def _comment(wanted: _Wanted, *, asking: bool) -> str:
    comment = wanted.comment.strip()
    if wanted.decision == "reject" and not comment and asking:
        comment = str(typer.prompt("Why", err=True)).strip()
    if wanted.decision == "reject" and not comment:
        raise InvalidRequestError.expected("comment", "why it is rejected", named="--comment")
    return comment


def _paragraph(mark: str, text: str) -> None:
    """Write text beside a mark, on lines that fit into the terminal."""
    for line in wrapped(mark, text, 8, 0):
        echo(line, err=True)


def _signed(body: str, secret: str) -> tuple[dict[str, str], bytes]:
    from standardwebhooks import Webhook

    message, now = f"msg_{uuid.uuid4().hex}", datetime.now(UTC)
    headers = {
        "webhook-id": message,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(secret).sign(message, now, body),
    }
    return headers, body.encode()
