"""The ids of the DEKs that a migration makes: the same for a document at every attempt, and not to be foreseen.

A row is created before the document that names it is stored. If a page dies in between, its next run finds that row
again. Were the id foreseeable, a writer could put a row there with a DEK that they know. So an id is a MAC of the
document's place under a secret of the migration, which lies in Keyturn's own container, wrapped by the target MEK.
"""

import hashlib
import hmac
import uuid

from pydantic import ValidationError

from field_encrypt.dek import Dek, key_check, matches_key_check
from field_encrypt.encoding import from_base64, to_base64, to_canonical_json
from field_encrypt.provider import MekProvider
from field_encrypt.rows import WrappedDek
from keyturn.cosmos.state_container import StateContainer
from keyturn.errors import InvariantError, NotSettledError

KIND = "migration-secret"
_LABEL = b"keyturn/migration-dek-id/v1"


class DekIds:
    """The ids of one migration."""

    def __init__(self, secret: Dek) -> None:
        self._secret = secret

    def of(self, container: str, partition: object, document_id: str) -> str:
        """Return the id for a document; ``partition`` is any JSON value that tells documents of one id apart."""
        place = to_canonical_json({"container": container, "partition": partition, "documentId": document_id})
        digest = hmac.digest(self._secret.reveal(), _LABEL + place, hashlib.sha256)
        return str(uuid.UUID(bytes=digest[:16], version=4))


async def open_dek_ids(documents: StateContainer, keyring: str, migration_id: str, provider: MekProvider) -> DekIds:
    """Open the migration's secret, which is made at the first call.

    Raises:
        MekError: it could not be wrapped or unwrapped.
        NotSettledError: another process has made it just now.
        InvariantError: what is stored is no such secret.
    """
    document_id = f"{KIND}.{migration_id}"
    stored = await documents.read(keyring, document_id)
    if stored is None:
        secret = Dek.generate()
        wrapped = await provider.wrap(secret)
        made = {
            "id": document_id,
            "kind": KIND,
            "keyring": keyring,
            "mekName": wrapped.mek_name,
            "mekVersion": wrapped.mek_version,
            "algorithm": wrapped.algorithm,
            "wrapped": to_base64(wrapped.wrapped),
            "keyCheck": to_base64(key_check(secret)),
        }
        if await documents.create(made):
            return DekIds(secret)
        stored = await documents.read(keyring, document_id)
    if stored is None:
        raise NotSettledError("a migration's secret exists and is not visible yet", document=document_id)
    names = {"mek_name": "mekName", "mek_version": "mekVersion", "algorithm": "algorithm"}
    found = {field: stored.get(name) for field, name in names.items()}
    try:
        wrapped = WrappedDek.model_validate({**found, "wrapped": from_base64(stored.get("wrapped"))})
    except ValidationError as error:
        raise InvariantError("a migration's secret is unreadable", document=document_id) from error
    secret, check = await provider.unwrap(wrapped), from_base64(stored.get("keyCheck"))
    if check is None or not matches_key_check(secret, check):
        raise InvariantError("a migration's secret was changed", document=document_id)
    return DekIds(secret)
