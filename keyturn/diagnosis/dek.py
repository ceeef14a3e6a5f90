"""Opens one DEK step by step, as a reader does, and tells at which step it ends.

Where a step fails the row is read again: a rotation may have moved it in between, and the diagnosis is then of the row
as it is now.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from field_encrypt.dek import Dek, matches_key_check
from field_encrypt.errors import InvalidDekError
from field_encrypt.mek_errors import MekError, MekVersionDisabledError, MekVersionNotFoundError, UnwrapRefusedError
from field_encrypt.mek_versions import MekVersionProperties
from keyturn.deks.rows import PREVIOUS_WRAP, Row, RowKind, before_rewrap
from keyturn.diagnosis.lookup import read_row, row_facts, version_facts
from keyturn.diagnosis.models import DekDiagnosis, Verdict
from keyturn.key_vault.errors import keyturn_error
from keyturn.keyring_clients import KeyringClients

READS_MAX = 3
# A row without a label is tried under the newest versions only: each try is an operation of the vault's budget.
VERSIONS_MAX = 20

_REFUSALS: Mapping[type[Exception], Verdict] = {
    InvalidDekError: Verdict.NOT_A_DEK,
    UnwrapRefusedError: Verdict.WRAP_REFUSED,
    MekVersionDisabledError: Verdict.VERSION_DISABLED,
    MekVersionNotFoundError: Verdict.VERSION_MISSING,
}
_ROW_AT_FAULT = frozenset({Verdict.NOT_A_DEK, Verdict.WRAP_REFUSED, Verdict.KEY_CHECK_DIFFERS})


@dataclass(frozen=True, slots=True)
class Examined:
    """A diagnosis and, for trying it on fields, what the row unwraps to."""

    diagnosis: DekDiagnosis
    dek: Dek | None


async def diagnose_dek(keyring: KeyringClients, dek_id: str) -> DekDiagnosis:
    """Tell whether a DEK opens, and what to do if it does not.

    Raises:
        PermissionMissingError: the app's identity may not look.
        UnavailableError: a service did not answer, which says nothing about the DEK.
    """
    return (await examine(keyring, dek_id, await keyring.versions.states(), None)).diagnosis


async def examine(
    keyring: KeyringClients,
    dek_id: str,
    versions: Mapping[str, MekVersionProperties],
    writers_version: str | None,
) -> Examined:
    """Open a DEK; ``writers_version`` is what a field names, for a row that names none."""
    examined: Examined | None = None
    row = await read_row(keyring, dek_id)
    for _ in range(READS_MAX):
        if row is None:
            break
        examined = await _Examination(keyring, row, versions, writers_version).run()
        if examined.dek is not None:
            return examined
        seen, row = row.etag, await read_row(keyring, dek_id)
        if row is not None and row.etag == seen:
            return examined
    if row is not None and examined is not None:
        return examined
    missing = DekDiagnosis(
        keyring=keyring.keyring.name,
        dek_id=dek_id,
        verdict=Verdict.ROW_MISSING,
        finding=f"the dek store {keyring.keyring.dek_container} has no row of this id",
    )
    return Examined(missing, None)


class _Examination:
    """One look at one row."""

    def __init__(
        self,
        keyring: KeyringClients,
        row: Row,
        versions: Mapping[str, MekVersionProperties],
        writers_version: str | None,
    ) -> None:
        self._keyring = keyring
        self._row = row
        self._versions = versions
        self._writers_version = writers_version

    async def run(self) -> Examined:
        """Open the row."""
        row = self._row
        if row.kind is RowKind.FOREIGN:
            name, label = self._stated("mek_name"), self._stated("mek_version")
            return self._told(Verdict.ROW_FOREIGN, f"the row names key {name!r} and version {label!r}, not this MEK")
        if row.reason is not None or row.wrapped is None:
            return self._told(Verdict.ROW_MALFORMED, f"a property of the row cannot be read: {row.reason}")
        unwrapped_dek, version = await self._open()
        if isinstance(unwrapped_dek, Verdict):
            return await self._refused(unwrapped_dek, None, f"under version {version}: {unwrapped_dek}")
        if row.key_check is not None and not matches_key_check(unwrapped_dek, row.key_check):
            return await self._refused(
                Verdict.KEY_CHECK_DIFFERS, unwrapped_dek, f"version {version} unwraps another DEK than the key check's"
            )
        return await self._opened(unwrapped_dek, version)

    async def _opened(self, dek: Dek, version: str) -> Examined:
        row = self._row
        previous = await self._previous_wrap(dek)
        verdict, finding = Verdict.SOUND, f"version {version} unwraps the row, and its key check holds"
        if row.key_check is None:
            verdict, finding = Verdict.NO_KEY_CHECK, f"version {version} unwraps the row, which has no key check"
        if row.version is None:
            verdict, finding = Verdict.NO_VERSION_LABEL, f"the row names no version; version {version} unwraps it"
        if previous == "damaged":
            verdict, finding = Verdict.PREVIOUS_WRAP_DAMAGED, f"version {version} unwraps the row; previousWrap is off"
        key_check = "absent" if row.key_check is None else "holds"
        return self._told(
            verdict, finding, dek, unwraps=True, key_check=key_check, previous_wrap=previous, opened_under=version
        )

    async def _refused(self, verdict: Verdict, dek: Dek | None, finding: str) -> Examined:
        previous = await self._previous_wrap(None) if verdict in _ROW_AT_FAULT else None
        # Without a key check, any DEK would do: only one that is proven is worth rolling back to.
        if previous == "holds" and self._row.key_check is not None:
            verdict, finding = Verdict.PREVIOUS_WRAP_OPENS, f"{finding}; previousWrap unwraps to the key check's DEK"
        key_check = None if dek is None else "differs"
        return self._told(verdict, finding, dek, unwraps=dek is not None, key_check=key_check, previous_wrap=previous)

    async def _open(self) -> tuple[Dek | Verdict, str]:
        """Unwrap the row, and return what came of it under which version."""
        row = self._row
        unwrapped_dek, tried = Verdict.WRAP_REFUSED, "(none)"
        for version in [row.version] if row.version else self._candidates():
            result = await self._unwrap(row, version)
            if isinstance(result, Dek) or row.version:
                return result, version
            unwrapped_dek, tried = result, version
        return unwrapped_dek, tried

    def _candidates(self) -> Sequence[str]:
        """Return the versions that may have wrapped a row without a label, the likeliest first."""
        enabled = [version for version, found in self._versions.items() if found.enabled]
        newest = list(reversed(enabled))[:VERSIONS_MAX]
        written = [self._writers_version] if self._writers_version in self._versions else []
        return list(dict.fromkeys([version for version in written if version] + newest))

    async def _unwrap(self, row: Row, version: str) -> Dek | Verdict:
        if row.wrapped is None or row.algorithm is None:
            return Verdict.ROW_MALFORMED
        try:
            return Dek(await self._keyring.mek.unwrap(row.wrapped, version, row.algorithm))
        except (MekError, InvalidDekError) as error:
            if (verdict := _REFUSALS.get(type(error))) is not None:
                return verdict
            if isinstance(error, MekError):
                raise keyturn_error(error, "unwrap") from error
            raise

    async def _previous_wrap(self, dek: Dek | None) -> str | None:
        """Tell whether the previous wrap, if any, holds the DEK, or without one the DEK of the key check."""
        if PREVIOUS_WRAP not in self._row.raw:
            return None
        previous = before_rewrap(self._row, self._keyring.keyring, "")
        if previous is None or previous.reason is not None or previous.version is None:
            return "damaged"
        found = self._versions.get(previous.version)
        if found is not None and not found.enabled:
            return "not_readable"
        unwrapped = await self._unwrap(previous, previous.version)
        if isinstance(unwrapped, Verdict):
            return "not_readable" if unwrapped is Verdict.VERSION_DISABLED else "damaged"
        check = self._row.key_check
        holds = unwrapped == dek if dek is not None else check is None or matches_key_check(unwrapped, check)
        return "holds" if holds else "damaged"

    def _stated(self, name: str) -> str:
        value = self._row.raw.get(getattr(self._keyring.keyring.row_names, name))
        return "" if value is None else str(value)

    def _told(self, verdict: Verdict, finding: str, dek: Dek | None = None, **facts: object) -> Examined:
        described = {
            "keyring": self._keyring.keyring.name,
            "dek_id": self._row.id,
            "verdict": verdict,
            "finding": finding,
            "row": row_facts(self._row, self._keyring.keyring),
            "version": version_facts(self._row.version, self._versions),
            **facts,
        }
        return Examined(DekDiagnosis.model_validate(described), dek)
