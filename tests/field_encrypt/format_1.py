"""Fields as release 0.1 wrote them, which nothing in the library does any more."""

import copy

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from field_encrypt import DekStore, MekProvider, paths
from field_encrypt.dek import Dek, key_check
from field_encrypt.derivation import NONCE_BYTES
from field_encrypt.documents import Item, with_values
from field_encrypt.encoding import to_base64, to_canonical_json
from field_encrypt.places import FieldPlace


async def encrypted_as_format_1(
    provider: MekProvider, dek_store: DekStore, container: str, document: Item, fields: list[str], dek_id: str
) -> Item:
    """Return the document with its fields in format 1, under a DEK of this id that has its row."""
    dek, encrypted = Dek.generate(), copy.deepcopy(document)
    wrapped = await provider.wrap(dek)
    await dek_store.create(dek_id, wrapped, key_check(dek))
    for number, path in enumerate(paths.expand(document, fields)):
        place = FieldPlace(container=container, document_id=str(document["id"]), field_path=path)
        nonce, plaintext = number.to_bytes(NONCE_BYTES), to_canonical_json(paths.get(document, path))
        sealed = AESGCM(dek.reveal()).encrypt(nonce, plaintext, place.additional_data_of_format_1(dek_id))
        labels = {"enc": 1, "alg": "A256GCM", "dekId": dek_id, "mekVersion": wrapped.mek_version}
        binary = {"iv": to_base64(nonce), "ct": to_base64(sealed[:-16]), "tag": to_base64(sealed[-16:])}
        encrypted = with_values(encrypted, {path: {**labels, **binary}})
    return encrypted
