"""What is looked up for a diagnosis: a row by its id, and what row and version say of themselves."""

from collections.abc import Mapping
from typing import Final

from field_encrypt.mek_versions import MekVersionProperties
from field_encrypt.row_states import Row, classify
from field_encrypt.rows import ID
from keyturn.contracts.pages import RowRef
from keyturn.deks.queries import has_id, select_rows
from keyturn.diagnosis.models import RowFacts, VersionFacts
from keyturn.errors import InvalidRequestError
from keyturn.key_vault.versions import RETAIN_UNTIL_TAG, RETIRED_BY_TAG
from keyturn.keyring_clients import KeyringClients
from keyturn.settings import Keyring

ID_BYTES_MAX: Final = 1023
_NEVER_IN_IDS = frozenset("/\\?#")  # Cosmos DB, service limits


def is_possible_id(text: str) -> bool:
    """Tell whether anything in Cosmos DB can have this id; what cannot must not get into the path of a request."""
    fits = 0 < len(text.encode(errors="surrogatepass")) <= ID_BYTES_MAX
    return fits and text == text.rstrip() and text.isprintable() and not _NEVER_IN_IDS.intersection(text)


def require_id(field: str, text: str | None) -> str:
    """Return the id that a request gives; raises InvalidRequestError naming the field."""
    if text is None or not is_possible_id(text):
        raise InvalidRequestError.expected(field, f"an id: 1 to {ID_BYTES_MAX} bytes without / \\ ? #")
    return text


async def read_row(keyring: KeyringClients, dek_id: str) -> Row | None:
    """Return the row of this id, whatever it is partitioned by, or None."""
    if not is_possible_id(dek_id):
        return None
    if keyring.keyring.row_names.partition_key == ID:
        return await keyring.rows.read(RowRef(id=dek_id, partition=dek_id), "")
    found = await select_rows(keyring.dek_container, has_id(dek_id), "TOP 1 *")
    return classify(found[0], keyring.keyring, "") if found else None


def row_facts(row: Row, keyring: Keyring) -> RowFacts:
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


def version_facts(version: str | None, versions: Mapping[str, MekVersionProperties]) -> VersionFacts | None:
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
