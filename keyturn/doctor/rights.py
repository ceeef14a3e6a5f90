"""The identity's rights and the keyring's condition: pre-flight's own checks, those of them that change nothing.

What counts every row, notifies people, writes a backup or asks for the right moment is left to pre-flight: a dry run
does all of it.
"""

from keyturn.doctor.asking import ask
from keyturn.doctor.lines import Answer, Line, Outcome, ok, unchecked
from keyturn.doctor.patient import Patient, made_up
from keyturn.preflight.checklist import CHECKLIST
from keyturn.preflight.store import ITEMS

LEFT_TO_PREFLIGHT = frozenset(
    {
        *("census", "store_has_rows", "row_versions"),
        *("key_backup", "no_migration", "maintenance_window", "on_call_notified"),
    }
)
EXAMINED = tuple(name for name in CHECKLIST if name not in LEFT_TO_PREFLIGHT)


async def check_rights(patient: Patient) -> list[Line]:
    """Go through the checklist; what needs a check that failed is not checked."""
    lines: list[Line] = []
    bad: set[str] = set()
    subject = patient.keyring.keyring.name
    for name in EXAMINED:
        item = CHECKLIST[name]
        missing = next((need for need in item.needs if need in bad), None)
        if missing is not None:
            answer = unchecked(f"{missing} failed", f"mend {missing} first")
        else:
            answer = await ask(item.run(patient.inquiry), item.right)
        if answer.outcome is not Outcome.OK:
            bad.add(name)
        lines.append(Line.of(name, answer, subject))
    return lines


async def check_records(patient: Patient) -> list[Line]:
    """Ask for a document of the container ``keyturn`` that does not exist, to read and to replace it."""
    container = patient.resources.settings.keyturn_container
    reading = await ask(_read(patient), f"{ITEMS}read on the container {container}")
    if reading.outcome is not Outcome.OK:
        writing = unchecked("can_read_records failed", "mend can_read_records first")
    else:
        writing = await ask(_replace(patient), f"{ITEMS}replace on the container {container}")
    return [Line.of("can_read_records", reading), Line.of("can_replace_records", writing)]


async def _read(patient: Patient) -> Answer:
    await patient.resources.run_store.documents.read(made_up(), made_up())
    return ok("a point read was answered")


async def _replace(patient: Patient) -> Answer:
    name = made_up()
    await patient.resources.run_store.documents.replace({"id": name, "keyring": name}, etag="*")
    return ok("a replacement of a document that does not exist was answered")
