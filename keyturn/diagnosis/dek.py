"""Unwraps one DEK step by step, as a reader does, and names the step that fails.

Where a step fails the row is read again: a rotation may have moved it in between, and the diagnosis is then of the row
as it is now.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from field_encrypt.dek import Dek
from field_encrypt.mek_versions import MekVersionProperties
from field_encrypt.rewrapping import NotUnwrapped, Unwrapped, unwrap_row, unwrap_under
from field_encrypt.row_states import PREVIOUS_WRAP, QuarantineReason, Row, RowKind, before_rewrap, classify
from field_encrypt.rows import ID
from keyturn.contracts.pages import RowRef
from keyturn.deks.queries import has_id, select_rows
from keyturn.diagnosis.models import DekDiagnosis, RowFacts, Verdict, VersionFacts, is_possible_id
from keyturn.ids import RunKind, kind_of
from keyturn.key_vault.errors import vault_failures
from keyturn.key_vault.versions import RETAIN_UNTIL_TAG, RETIRED_BY_TAG
from keyturn.keyring_clients import KeyringClients
from keyturn.settings import Keyring

READS_MAX = 3
# A row without a label is tried under the newest versions only: each try is an operation of the vault's budget.
VERSIONS_MAX = 20

_VERDICTS: Mapping[QuarantineReason, Verdict] = {
    QuarantineReason.INVALID_DEK: Verdict.NOT_A_DEK,
    QuarantineReason.UNWRAP_REFUSED: Verdict.WRAP_REFUSED,
    QuarantineReason.KEY_CHECK_MISMATCH: Verdict.KEY_CHECK_DIFFERS,
    QuarantineReason.VERSION_DISABLED: Verdict.VERSION_DISABLED,
    QuarantineReason.UNKNOWN_VERSION: Verdict.VERSION_MISSING,
}
# What the previous wrap may help against.
ROW_AT_FAULT = frozenset(
    {Verdict.NOT_A_DEK, Verdict.WRAP_REFUSED, Verdict.KEY_CHECK_DIFFERS, Verdict.ROW_MALFORMED, Verdict.VERSION_MISSING}
)


@dataclass(frozen=True, slots=True)
class ExaminedDek:
    """A diagnosis of a row as it was read and, for trying it on fields, what the row unwraps to."""

    diagnosis: DekDiagnosis
    dek: Dek | None = None
    row: Row | None = None


async def diagnose_dek(keyring: KeyringClients, dek_id: str) -> DekDiagnosis:
    """Tell whether a DEK unwraps, and what to do if it does not.

    Raises:
        PermissionMissingError: the app's identity may not look.
        UnavailableError: a service did not answer, which says nothing about the DEK.
    """
    return (await examine(keyring, dek_id, await keyring.versions.states(), None)).diagnosis


async def examine(
    keyring: KeyringClients, dek_id: str, versions: Mapping[str, MekVersionProperties], writers_version: str | None
) -> ExaminedDek:
    """Unwrap a DEK; ``writers_version`` is what a field names, for a row that names none."""
    missing = DekDiagnosis(
        keyring=keyring.keyring.name,
        dek_id=dek_id,
        verdict=Verdict.ROW_MISSING,
        finding=f"the dek store {keyring.keyring.dek_container} has no row of this id",
    )
    examined, seen = ExaminedDek(missing), ""
    for _ in range(READS_MAX):
        if (row := await _read_row(keyring, dek_id)) is None:
            return ExaminedDek(missing)
        if row.etag == seen:
            break
        examined, seen = await _Examination(keyring, row, versions, writers_version).run(), row.etag
        if examined.dek is not None:
            break
    return examined


@dataclass(frozen=True, slots=True)
class _Examination:
    """The examination of one row as it was read."""

    keyring: KeyringClients
    row: Row
    versions: Mapping[str, MekVersionProperties]
    writers_version: str | None

    async def run(self) -> ExaminedDek:
        row = self.row
        if row.kind is RowKind.FOREIGN:
            name, label = self._stated("mek_name"), self._stated("mek_version")
            return self._result(Verdict.ROW_FOREIGN, f"the row names key {name!r} and version {label!r}, not this MEK")
        if row.reason is not None:
            finding = f"a property of the row cannot be read: {row.reason}"
            return await self._at_fault(Verdict.ROW_MALFORMED, finding)
        with vault_failures("unwrap", self.keyring.mek.mek_name):
            unwrapped = await unwrap_row(row, self.keyring.mek.unwrap, self._candidates)
        if isinstance(unwrapped, Unwrapped):
            return await self._unwrapped(unwrapped.dek, unwrapped.version)
        return await self._not_unwrapped(unwrapped)

    async def _unwrapped(self, dek: Dek, version: str) -> ExaminedDek:
        row = self.row
        previous = await self._previous_wrap(dek)
        verdict, finding = Verdict.SOUND, f"version {version} unwraps the row, and its key check holds"
        if row.key_check is None:
            verdict, finding = Verdict.NO_KEY_CHECK, f"version {version} unwraps the row, which has no key check"
        if row.version is None:
            verdict, finding = Verdict.NO_VERSION_LABEL, f"the row names no version; version {version} unwraps it"
        if previous == "damaged":
            verdict, finding = Verdict.PREVIOUS_WRAP_DAMAGED, f"version {version} unwraps the row; previousWrap is off"
        key_check = "absent" if row.key_check is None else "holds"
        return self._result(
            verdict, finding, dek, unwraps=True, key_check=key_check, previous_wrap=previous, opened_under=version
        )

    async def _not_unwrapped(self, failure: NotUnwrapped) -> ExaminedDek:
        verdict, dek = _VERDICTS[failure.reason], failure.dek
        finding = f"under version {failure.version or '(none)'}: {verdict}"
        if verdict is Verdict.KEY_CHECK_DIFFERS:
            finding = f"version {failure.version} unwraps another DEK than the key check's"
        return await self._at_fault(verdict, finding, dek, unwraps=dek is not None, key_check=dek and "differs")

    async def _at_fault(self, verdict: Verdict, finding: str, dek: Dek | None = None, **facts: object) -> ExaminedDek:
        previous = await self._previous_wrap(None) if verdict in ROW_AT_FAULT else None
        before = before_rewrap(self.row, self.keyring.keyring, "")
        # Without a key check, any DEK would do: only one that is proven is worth advising to go back to.
        if previous == "holds" and before is not None and before.key_check is not None:
            finding = f"{finding}; previousWrap unwraps to the key check's DEK"
            # A version that is gone is missed by every row of its rotation: they go back together.
            rotation = kind_of(self.row.run_id or "") is RunKind.ROTATION
            lost = verdict is Verdict.VERSION_MISSING and rotation
            verdict = Verdict.VERSION_LOST if lost else Verdict.PREVIOUS_WRAP_OPENS
        return self._result(verdict, finding, dek, previous_wrap=previous, **facts)

    async def _candidates(self) -> Sequence[str]:
        """Return the versions that may have wrapped a row without a label, the likeliest first."""
        newest = [version for version, found in self.versions.items() if found.enabled][: -VERSIONS_MAX - 1 : -1]
        written = [version for version in self.versions if version == self.writers_version]
        return list(dict.fromkeys(written + newest))

    async def _previous_wrap(self, dek: Dek | None) -> str | None:
        """Tell whether the previous wrap, if any, holds the DEK, or without one the DEK of the key check."""
        if PREVIOUS_WRAP not in self.row.raw:
            return None
        previous = before_rewrap(self.row, self.keyring.keyring, "")
        if previous is None or previous.version is None:
            return "damaged"
        with vault_failures("unwrap", self.keyring.mek.mek_name):
            unwrapped = await unwrap_under(previous.version, previous, self.keyring.mek.unwrap)
        if isinstance(unwrapped, NotUnwrapped):
            return "not_readable" if unwrapped.reason is QuarantineReason.VERSION_DISABLED else "damaged"
        return "holds" if dek is None or dek == unwrapped.dek else "damaged"

    def _stated(self, name: str) -> str:
        value = self.row.raw.get(getattr(self.keyring.keyring.row_names, name))
        return "" if value is None else str(value)

    def _result(self, verdict: Verdict, finding: str, dek: Dek | None = None, **facts: object) -> ExaminedDek:
        described = {
            "keyring": self.keyring.keyring.name,
            "dek_id": self.row.id,
            "verdict": verdict,
            "finding": finding,
            "row": _row_facts(self.row, self.keyring.keyring),
            "version": _version_facts(self.row.version, self.versions),
            **facts,
        }
        return ExaminedDek(DekDiagnosis.model_validate(described), dek, self.row)


async def _read_row(keyring: KeyringClients, dek_id: str) -> Row | None:
    """Return the row of this id, whatever it is partitioned by, or None."""
    if not is_possible_id(dek_id):
        return None
    if keyring.keyring.row_names.partition_key == ID:
        return await keyring.rows.read(RowRef(id=dek_id, partition=dek_id), "")
    found = await select_rows(keyring.dek_container, has_id(dek_id), "TOP 1 *")
    return classify(found[0], keyring.keyring, "") if found else None


def _row_facts(row: Row, keyring: Keyring) -> RowFacts:
    """Return what the row says of itself."""
    names = keyring.row_names
    return RowFacts(
        mek_name=_text(row.raw.get(names.mek_name)),
        version_label=_text(row.raw.get(names.mek_version)),
        algorithm=_text(row.raw.get(names.algorithm)),
        created_at=row.created_at,
        changed_at=row.changed_at,
        run_id=row.run_id,
    )


def _version_facts(version: str | None, versions: Mapping[str, MekVersionProperties]) -> VersionFacts | None:
    """Return what the vault says of the version that a row names, or None where it names none."""
    if version is None:
        return None
    if (found := versions.get(version)) is None:
        return VersionFacts(version=version, state="missing")
    return VersionFacts(
        version=version,
        state="enabled" if found.enabled else "disabled",
        created_on=found.created_on,
        expires_on=found.expires_on,
        retired_by=found.tags.get(RETIRED_BY_TAG),
        retain_until=found.tags.get(RETAIN_UNTIL_TAG),
    )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
