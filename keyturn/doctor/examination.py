"""Goes through everything, in an order in which what a line needs comes before it."""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from azure.core.exceptions import ClientAuthenticationError

from keyturn.doctor.app_routes import check_keys
from keyturn.doctor.asking import ask
from keyturn.doctor.assumptions import BY_HAND, LOOKED_AT, PROBED
from keyturn.doctor.database import DATABASE
from keyturn.doctor.endpoints import check_endpoints, endpoints_of
from keyturn.doctor.lines import Line, Outcome, ok, problem, unchecked, warning
from keyturn.doctor.patient import Patient
from keyturn.doctor.probing import probe
from keyturn.doctor.rights import EXAMINED, check_records, check_rights
from keyturn.doctor.vault import VAULT
from keyturn.doctor.versions import check_versions
from keyturn.errors import KeyturnError, SettingsError
from keyturn.resources import Resources
from keyturn.settings import Settings, load_settings

REQUIREMENTS = Path(__file__).parents[2] / "requirements.txt"  # deployed beside the packages


def _now() -> datetime:
    return datetime.now(UTC)


async def examine(
    environment: Mapping[str, str],
    *,
    probing: bool = False,
    requirements: Path = REQUIREMENTS,
    now: Callable[[], datetime] = _now,
) -> list[Line]:
    """Return a line for everything that was looked at.

    The environment holds the app's settings; the identity is whatever DefaultAzureCredential finds in this process.
    Only ``probing`` changes anything.
    """
    lines = check_versions(requirements)
    try:
        settings = load_settings(environment)
    except SettingsError as error:
        lines.append(Line.of("settings", problem(error.message, "set it as local.settings.json.example shows")))
        return lines + _left("settings", [*EXAMINED, *LOOKED_AT, *PROBED]) + _by_hand()
    lines += _settings_lines(settings)
    lines += await check_endpoints(endpoints_of(settings, environment), now)
    lines.append(Line.of("host_keys", await check_keys(settings.keyturn_public_url)))
    down = {line.id for line in lines if line.outcome is Outcome.PROBLEM} & {"reach_cosmos", "reach_vault"}
    if down:
        lines += _left(min(down), [*EXAMINED, *VAULT, *DATABASE, *PROBED])
    else:
        lines += await _with_services(settings, now, probing=probing)
    return lines + _by_hand()


def _settings_lines(settings: Settings) -> list[Line]:
    names = ", ".join(keyring.name for keyring in settings.keyrings)
    lines = [Line.of("settings", ok(f"valid; keyrings: {names}"))]
    decided = ok("decisions can be taken")
    if not settings.approval_secrets():
        decided = warning(
            "APPROVAL_WEBHOOK_SECRETS is not set: no decision can be taken over the webhook",
            "put a secret into the vault and name it in approvalSecretName (docs/deploy.md)",
        )
    return [*lines, Line.of("approvals", decided)]


async def _with_services(settings: Settings, now: Callable[[], datetime], *, probing: bool) -> list[Line]:
    advice = "sign in (az login), or give the identity its roles (infra/)"
    try:
        resources = await Resources.open(settings)
    except (KeyturnError, ClientAuthenticationError) as error:
        detail = error.message if isinstance(error, KeyturnError) else "no credential gave a token"
        return [
            Line.of("identity", problem(detail, advice)),
            *_left("identity", [*EXAMINED, *VAULT, *DATABASE, *PROBED]),
        ]
    try:
        lines = [Line.of("identity", ok("a token was issued, and the account's metadata was read"))]
        patients = [Patient.of(resources, keyring.name, now) for keyring in settings.keyrings]
        for patient in patients:
            lines += await check_rights(patient)
        lines += await check_records(patients[0])
        for patient in patients:
            lines += await _looked_at(patient, lines)
        return lines + (await probe(patients[0]) if probing else _left("--probe", PROBED))
    finally:
        await resources.close()


async def _looked_at(patient: Patient, before: list[Line]) -> list[Line]:
    """Look at the assumptions, each where what it needs was found to be there."""
    name = patient.keyring.keyring.name
    bad = {line.id for line in before if line.subject in ("", name) and line.outcome is not Outcome.OK}
    lines: list[Line] = []
    for line, look in {**VAULT, **DATABASE}.items():
        if (missing := next((need for need in look.needs if need in bad), None)) is not None:
            lines += _left(missing, [line], name)
        else:
            lines.append(Line.of(line, await ask(look.run(patient)), name))
    return lines


def _left(missing: str, ids: Iterable[str], subject: str = "") -> list[Line]:
    """Return lines for what was not looked at for want of something."""
    answer = (
        unchecked("needs --probe") if missing == "--probe" else unchecked(f"{missing} failed", f"mend {missing} first")
    )
    return [Line.of(line, answer, subject) for line in ids]


def _by_hand() -> list[Line]:
    return [Line.of(line, unchecked("for people", "docs/assumptions.md says how")) for line in BY_HAND]
