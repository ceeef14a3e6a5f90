"""Commands for a run, a rotation or a migration: look at it, wait for it, decide, try again, end it."""

import asyncio
import json
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer

from keyturn.cli.client import Api, ask
from keyturn.cli.html_report import file_report
from keyturn.cli.output import AsJson, Field, echo, signing_secret, write
from keyturn.contracts.states import TERMINAL, State
from keyturn.errors import InvalidRequestError, WrongStateError
from keyturn.ids import APPROVALS, ROTATIONS, run_link

SECRETS = "APPROVAL_WEBHOOK_SECRETS"

Run = Annotated[str, typer.Argument(help="id of a rotation or of a migration")]
By = Annotated[str | None, typer.Option(envvar="KEYTURN_BY", help="who you are; not needed where people sign in")]
Reason = Annotated[str, typer.Option(help="why")]
Keyring = Annotated[str | None, typer.Option(help="may be left out where there is only one")]
Html = Annotated[Path | None, typer.Option("--html", help="write it as one page to be filed; must not exist")]
Wait = Annotated[bool, typer.Option("--wait", help="wait until a person is needed, or the end")]
Poll = Annotated[float, typer.Option(envvar="KEYTURN_POLL", min=0.05, help="seconds between two looks")]

POLL_SECONDS = 10.0


def status(
    run: Run, field: Field = None, poll: Poll = POLL_SECONDS, *, wait: Wait = False, as_json: AsJson = False
) -> None:
    """Tell where a rotation or a migration stands."""
    found = ask(lambda api: status_of(api, run, poll if wait else None))
    write(found, as_json=as_json, field=field)
    if wait:
        require_good_end(run, found)


def report(run: Run, field: Field = None, html: Html = None, *, as_json: AsJson = False) -> None:
    """Write everything that is known about a rotation or a migration."""
    if html is not None:
        file_report(run, html)
        return
    write(ask(lambda api: api.get(f"{path_of(run)}/report")), as_json=as_json or field is None, field=field)


def approve(
    run: Run,
    digest: Annotated[str, typer.Option(help="of the evidence that you have looked at: evidenceDigest in the status")],
    by: By = None,
    by_id: Annotated[
        str | None, typer.Option(envvar="KEYTURN_BY_ID", help="your object id in Entra ID, where people sign in")
    ] = None,
    comment: Annotated[str, typer.Option(help="kept with the decision")] = "",
    secret_file: Annotated[
        Path | None, typer.Option(help=f"file with a secret of the webhook; without it, the variable {SECRETS}")
    ] = None,
    *,
    reject: Annotated[bool, typer.Option("--reject", help="decide against it")] = False,
    as_json: AsJson = False,
) -> None:
    """Sign a decision and send it; whoever asked for the run cannot decide on it."""
    if by is None:
        raise InvalidRequestError("--by: expected who decides", field="by", expected="a name or an address")
    decided = {
        "rotationId": run,
        "decision": "reject" if reject else "approve",
        "evidenceDigest": digest,
        "approver": by,
        "comment": comment,
        **({"approverId": by_id} if by_id else {}),
    }
    headers, signed = _signed(json.dumps(decided), signing_secret(secret_file, SECRETS))
    answer = ask(lambda api: api.post(APPROVALS, signed, headers))
    write(answer, as_json=as_json, field=None if as_json else "decision")


def retry(run: Run, by: By = None, *, as_json: AsJson = False) -> None:
    """Let a run that needs attention try again what is left."""
    _command(f"{path_of(run)}/retry", by, as_json=as_json)


def abort(run: Run, by: By = None, *, as_json: AsJson = False) -> None:
    """End a run; every version stays enabled."""
    _command(f"{path_of(run)}/abort", by, as_json=as_json)


def reinstate(
    rotation: Annotated[str, typer.Argument(help="the rotation whose retirement is taken back")],
    by: By = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Enable again what a rotation has retired, from its retirement until the retention ends."""
    _command(f"{ROTATIONS}/{quote(rotation, safe='')}/reinstate", by, as_json=as_json)


def _command(path: str, by: str | None, *, as_json: bool) -> None:
    answer = ask(lambda api: api.post(path, {"requestedBy": by}))
    write(answer, as_json=as_json, field=None if as_json else "state")


def keyrings(field: Field = None, *, as_json: AsJson = False) -> None:
    """Tell of every keyring when it was rotated, when it is due, whether it is overdue, and what is astray."""
    write(ask(lambda api: api.get("/api/keyrings")), as_json=as_json, field=field)


def path_of(run: str) -> str:
    """Return where a run is found, which its id tells."""
    return run_link(quote(run, safe=""))


async def status_of(api: Api, run: str, poll: float | None) -> dict[str, Any]:
    """Return the status of a run; ``poll`` says how often (in seconds) to look until it needs a person, if at all."""
    last = ""
    while True:
        found: dict[str, Any] = await api.get(path_of(run))
        if poll is None:
            return found
        if found["state"] != last:
            last = found["state"]
            echo(_told(run, found), err=True)
        if _needs_attention(found):
            return found
        await asyncio.sleep(poll)


def _told(run: str, found: dict[str, Any]) -> str:
    """Return a line on the state of a run: with why, and with what is wanted of people."""
    told = ": ".join(filter(None, [run, found["state"], found.get("detail")]))
    decide = f"\ndecide: python -m keyturn.cli approve {run} --digest {found.get('evidenceDigest')}"
    return told + decide if _is_undecided(found) else told


def _is_undecided(found: dict[str, Any]) -> bool:
    return State(found["state"]) is State.AWAITING_APPROVAL and found.get("decision") is None


def _needs_attention(found: dict[str, Any]) -> bool:
    """Tell whether nothing happens any more without a person; a decision that was taken is on its way."""
    state = State(found["state"])
    return state in TERMINAL or state is State.NEEDS_ATTENTION or _is_undecided(found)


def require_good_end(run: str, found: dict[str, Any]) -> None:
    """Raise WrongStateError where what was waited for did not come out well."""
    state = State(found["state"])
    said = f"{run} is {state.value}"
    if state is State.COMPLETED and found.get("clean") is False:
        # Of migrations: a check or a dry run has found what cannot be worked on.
        said += f", and {found.get('quarantined', {}).get('count')} rows or documents are quarantined"
    elif state not in {*TERMINAL, State.NEEDS_ATTENTION} - {State.COMPLETED}:
        return
    hint = f"look at it: python -m keyturn.cli report {run}"
    raise WrongStateError(said, hint=hint, rotationId=run, state=state.value)


def _signed(body: str, secret: str) -> tuple[dict[str, str], bytes]:
    from standardwebhooks import Webhook

    message, now = f"msg_{uuid.uuid4().hex}", datetime.now(UTC)
    headers = {
        "webhook-id": message,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(secret).sign(message, now, body),
    }
    return headers, body.encode()
