"""``direct``: break-glass, the core in this process, where the app is down; ``encrypt-migrate`` is one more name of it.

As whoever is signed in (DefaultAzureCredential), on the app's settings. Ctrl-C, or a kill, loses nothing: the same
command goes on.
"""

import json
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from keyturn.cli.diagnosis import tell_diagnosis
from keyturn.cli.in_process import SettingsFile, in_direct, run
from keyturn.cli.output import AsJson, Commands, Field, echo, write
from keyturn.cli.rotations import Keyring, of_keyring
from keyturn.cli.verification import All, Asks, MinAge, Named, Rows, tell, the_one, verification
from keyturn.contracts.characters import counted
from keyturn.errors import InvalidRequestError, NotWithoutAppError

if TYPE_CHECKING:
    from keyturn.direct.session import Direct
    from keyturn.runs.record import RunRecord
    from keyturn.runs.records import RotationRecord

app = typer.Typer(
    help="Without the app, as whoever is signed in: see Without the app in docs/operations.md.",
    no_args_is_help=True,
)
diagnose = typer.Typer(help="Tell why a document or a DEK does not open, and what to do.", no_args_is_help=True)
app.add_typer(diagnose, name="diagnose", cls=Commands)

TakeOver = Annotated[bool, typer.Option("--take-over", help="a run, too, at which the app may be at work")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="count, change no row")]
NewVersion = Annotated[
    str | None, typer.Option("--new-mek-version", help="the run's own, or else the newest enabled one, unless given")
]
OldVersion = Annotated[str | None, typer.Option("--old-mek-version", help="only rows under this version")]
_VERSION_OPTIONS = {"newVersion": "--new-mek-version", "oldVersion": "--old-mek-version"}


@app.command()
def rewrap(
    keyring: Keyring = None,
    new_version: NewVersion = None,
    old_version: OldVersion = None,
    settings: SettingsFile = None,
    *,
    dry_run: DryRun = False,
    take_over: TakeOver = False,
    as_json: AsJson = False,
) -> None:
    """Move the rows of the run under way, or begin a migration that moves rows; write the run's id."""
    from keyturn.direct.rows import rewrap

    wanted: dict[str, Any] = {"new_version": new_version, "old_version": old_version}
    try:
        record = run(settings, lambda direct: rewrap(direct, keyring, **wanted, dry_run=dry_run, force=take_over))
    except InvalidRequestError as error:
        if (option := _VERSION_OPTIONS.get(error.facts.get("field", ""))) is None:
            raise
        named, hint = (
            error.message.replace(error.facts["field"], option, 1),
            of_keyring("keyturn direct versions", keyring),
        )
        raise InvalidRequestError(named, hint=hint, **error.facts) from error
    _moved(record, as_json=as_json)


@app.command()
def rollback(
    rotation: Annotated[str, typer.Argument(help="the rotation to take back; one under way is ended first")],
    settings: SettingsFile = None,
    *,
    dry_run: DryRun = False,
    take_over: TakeOver = False,
    as_json: AsJson = False,
) -> None:
    """Move the rows of a rotation back to where they came from; write the migration's id."""
    from keyturn.direct.rows import roll_back

    _moved(run(settings, lambda direct: roll_back(direct, rotation, dry_run=dry_run, force=take_over)), as_json=as_json)


@app.command()
def reinstate(
    rotation: Annotated[str, typer.Argument(help="the rotation whose retirement is taken back")],
    settings: SettingsFile = None,
) -> None:
    """Enable again what a rotation has retired, from its retirement until the retention ends."""

    async def order(direct: "Direct") -> "RotationRecord":
        from keyturn.ids import RunKind, keyring_of
        from keyturn.rotation.retirement import order_reinstatement

        versions = direct.resources.keyring(keyring_of(rotation, RunKind.ROTATION)).versions
        by, now = direct.operator.name, direct.now()
        return await order_reinstatement(direct.resources.run_store, versions, rotation, by=by, now=now)

    echo(", ".join(run(settings, order).reinstated))


@app.command()
def abort(
    run_id: Annotated[str, typer.Argument(help="id of a rotation or of a migration")],
    settings: SettingsFile = None,
    *,
    take_over: TakeOver = False,
) -> None:
    """End a run; every version stays enabled."""
    from keyturn.direct.takeover import end

    echo(run(settings, lambda direct: end(direct, run_id, force=take_over)).state.value)


@app.command()
def census(
    keyring: Keyring = None,
    target: Annotated[str | None, typer.Option(help="version to count against; the current one, unless given")] = None,
    settings: SettingsFile = None,
    field: Field = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Count every row by the version that wraps it; changes nothing."""
    from keyturn.direct.looks import census

    counted = run(settings, lambda direct: census(direct, keyring, target))
    write(counted.to_payload(), as_json=as_json, field=field)


@app.command()
def versions(keyring: Keyring = None, settings: SettingsFile = None, *, as_json: AsJson = False) -> None:
    """List the versions of the MEK, oldest first, with the rows that name each; changes nothing."""
    from keyturn.direct.looks import versions

    found = [one.to_payload() for one in run(settings, lambda direct: versions(direct, keyring))]
    if as_json:
        write(found, as_json=True)
        return
    for one in found:
        state = "current" if one["current"] and one["enabled"] else "enabled" if one["enabled"] else "disabled"
        retired = f"  retired by {one['retiredBy']}" if one["retiredBy"] and not one["enabled"] else ""
        echo(f"{one['version']}  {state:8}  {one['createdOn'] or '':20}  {counted(one['rows'], 'row')}{retired}")


@app.command()
def verify(
    named: Named = None,
    keyring: Keyring = None,
    rows: Rows = None,
    min_age: MinAge = "PT1M",
    settings: SettingsFile = None,
    *,
    everything: All = False,
    as_json: AsJson = False,
) -> None:
    """Count, open, decrypt and ask anew, whatever records say; ends with 73 where something is not in order."""
    from keyturn.direct.looks import missing_deks, verify

    keyring = the_one(named, keyring)

    async def work(direct: "Direct") -> dict[str, Any]:
        asks = Asks(partial(verify, direct, keyring), partial(missing_deks, direct, keyring))
        return await verification(asks, rows=rows, everything=everything, min_age=min_age)

    found = run(settings, work)
    found["results"] = [one | {"advice": _advice(one, found["keyring"])} for one in found["results"]]
    tell(found, as_json=as_json)


def _advice(result: dict[str, Any], keyring: str) -> str:
    """Return what to do about a result without the app, where a command of these does it."""
    advice = str(result["advice"] or "")
    if result["id"] == "census" and advice.startswith("keyturn "):  # rows that a run moves, or is to move
        return f"keyturn direct rewrap --keyring {keyring}"
    if result["id"] == "references" and "missing-deks" in advice:
        return f"keyturn direct verify {keyring} --all"
    return in_direct(advice)


@diagnose.command()
def dek(
    dek_id: Annotated[str, typer.Argument(help="as a field names it")],
    keyring: Keyring = None,
    settings: SettingsFile = None,
    field: Field = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Look at one DEK: its row, its version, its unwrap, its key check. Ends with 73 where it does not open."""
    from keyturn.diagnosis.dek import diagnose_dek
    from keyturn.diagnosis.models import require_id

    known = require_id("dekId", dek_id)
    found = run(settings, lambda direct: diagnose_dek(direct.resources.keyring(keyring), known))
    tell_diagnosis(json.loads(in_direct(json.dumps(found.to_payload()))), field, as_json=as_json)


@diagnose.command()
def document(
    document_id: Annotated[str, typer.Argument(help="the document's id")],
    container: Annotated[str, typer.Option(help="where it is stored")],
    partition: Annotated[str | None, typer.Option(help="value of its partition key")] = None,
    keyring: Keyring = None,
    settings: SettingsFile = None,
    field: Field = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Look at every encrypted field of one document. Ends with 73 where one does not open."""
    from keyturn.diagnosis.document import diagnose_document

    asked = (container, document_id, partition)
    found = run(settings, lambda direct: diagnose_document(direct.resources.keyring(keyring), *asked))
    tell_diagnosis(json.loads(in_direct(json.dumps(found.to_payload()))), field, as_json=as_json)


# What the seed's command line calls its modes, and which command does it where that is not this one.
ELSEWHERE = {
    "encrypt": "keyturn migrate encrypt --keyring {}",
    "re-encrypt": "keyturn migrate re-encrypt --keyring {}",
    "decrypt-check": "keyturn migrate decrypt-check --keyring {}",
}
REWRAP = "rewrap-deks"

encrypt_migrate = typer.Typer(cls=Commands, add_completion=False)


@encrypt_migrate.callback(invoke_without_command=True)
def migrate(
    product: Annotated[str, typer.Option(help="the keyring")],
    mode: Annotated[str, typer.Option(help=f"{REWRAP}; the app does {', '.join(ELSEWHERE)}")],
    old_version: OldVersion = None,
    new_version: NewVersion = None,
    settings: SettingsFile = None,
    *,
    dry_run: DryRun = False,
    take_over: TakeOver = False,
    as_json: AsJson = False,
) -> None:
    """Move rows onto a version: `keyturn direct rewrap` under the name and the options that runbooks know."""
    if mode in ELSEWHERE:
        hint = ELSEWHERE[mode].format(product)
        raise InvalidRequestError(f"--mode {mode}: the app does it", hint=hint, field="mode", expected=REWRAP)
    if mode != REWRAP:
        expected = f"{REWRAP}, or what the app does: {', '.join(ELSEWHERE)}"
        raise InvalidRequestError.expected("mode", expected, named=f"--mode {mode}")
    rewrap(product, new_version, old_version, settings, dry_run=dry_run, take_over=take_over, as_json=as_json)


def _moved(record: "RunRecord", *, as_json: bool) -> None:
    """Write the run's id, and what became of it; a run that ended otherwise than asked for is an error."""
    from keyturn.contracts.states import State

    found = record.history[-1]
    if as_json:
        write({"run": record.run_id, "state": record.state.value, "detail": found.detail}, as_json=True)
    else:
        echo(record.run_id)
    echo(f"{record.state.value}: {found.detail}", err=True)
    if record.state is State.NEEDS_ATTENTION:
        echo(f"next, when the app is back: keyturn retry {record.run_id}", err=True)
    elif record.state is not State.COMPLETED:
        raise NotWithoutAppError(f"{record.run_id} is {record.state.value}", rotationId=record.run_id)
