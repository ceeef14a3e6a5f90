"""Runs the probes: a throw-away key, a throw-away container, and everything that is tried on them."""

from keyturn.doctor import probe_database, probe_vault
from keyturn.doctor.asking import ask
from keyturn.doctor.lines import Answer, Line, ok, unchecked
from keyturn.doctor.patient import Patient

KEY, CONTAINER = "probe_key", "probe_container"  # lines that tell what was made, and what is left


async def probe(patient: Patient) -> list[Line]:
    """Try everything, in the vault and the database of this keyring."""
    return [*await _vault(patient), *await _database(patient)]


async def _vault(patient: Patient) -> list[Line]:
    lines: list[Line] = []

    async def tried() -> Answer:
        async with probe_vault.throwaway_key(patient) as key:
            lines.extend([Line.of(name, await ask(check(key))) for name, check in probe_vault.VAULT_PROBES.items()])
            made = await probe_vault.burst(key)
            lines.extend([Line.of(name, await check(made)) for name, check in probe_vault.BURST_PROBES.items()])
        vault = patient.keyring.keyring.vault_url
        return ok(f"left behind with every version disabled: az keyvault key delete --id {vault}/keys/{key.name}")

    answer = await ask(tried(), probe_vault.RIGHTS)
    return [Line.of(KEY, answer), *_completed(lines, [*probe_vault.VAULT_PROBES, *probe_vault.BURST_PROBES], KEY)]


async def _database(patient: Patient) -> list[Line]:
    lines: list[Line] = []

    async def tried() -> Answer:
        if (account := patient.resources.account) is None:
            return unchecked("KEYTURN_COSMOS_RESOURCE_ID is not set", "set it to the account's resource id")
        async with probe_database.throwaway_container(patient, account) as made:
            lines.extend(
                [Line.of(name, await ask(check(made))) for name, check in probe_database.DATABASE_PROBES.items()]
            )
        return ok("made and deleted")

    answer = await ask(tried(), probe_database.RIGHTS)
    return [Line.of(CONTAINER, answer), *_completed(lines, [*probe_database.DATABASE_PROBES], CONTAINER)]


def _completed(lines: list[Line], ids: list[str], needed: str) -> list[Line]:
    """Return the lines, and one for each id that was not come to."""
    seen = {line.id for line in lines}
    left = unchecked(f"{needed} failed", f"mend {needed} first")
    return [*lines, *(Line.of(name, left) for name in ids if name not in seen)]
