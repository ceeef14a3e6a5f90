"""Envelope encryption of document fields: DEKs in Cosmos DB, wrapped by a MEK in Key Vault. See README.md."""

from field_encrypt.blocking import BlockingFieldEncryption
from field_encrypt.blocking_container import BlockingEncryptedContainer
from field_encrypt.codecs import STANDARD_CODECS, Codecs
from field_encrypt.conditions import Condition
from field_encrypt.dek_cache import DekCache
from field_encrypt.dek_store import DekStore
from field_encrypt.encrypted_container import EncryptedContainer
from field_encrypt.env_provider import EnvProvider
from field_encrypt.envelope import FieldEncryption
from field_encrypt.environment import provider_from_environment
from field_encrypt.errors import CallerError, FieldEncryptError, OperatorError, RetryError
from field_encrypt.field_codecs import FieldCodec
from field_encrypt.field_policy import FieldPolicy
from field_encrypt.follower import DekFollower
from field_encrypt.foreign import looks_encrypted
from field_encrypt.key_policy import KeyPolicy
from field_encrypt.key_vault import MekClient
from field_encrypt.key_vault_provider import CURRENT_VERSION_MAX_AGE_SECONDS, KeyVaultProvider
from field_encrypt.places import UNSTATED, FieldPlace, PartitionKeyValue
from field_encrypt.provider import MekProvider
from field_encrypt.resources import open_for_rewrap
from field_encrypt.retrying_provider import RetryingProvider
from field_encrypt.row_states import QuarantineReason
from field_encrypt.rows import RowCodec, RowDefaults, RowNames, WrappedDek
from field_encrypt.sweep import rewrap_all
from field_encrypt.sweep_results import QuarantinedRow, RewrapProgress, RewrapResult

__all__ = [
    "CURRENT_VERSION_MAX_AGE_SECONDS",
    "STANDARD_CODECS",
    "UNSTATED",
    "BlockingEncryptedContainer",
    "BlockingFieldEncryption",
    "CallerError",
    "Codecs",
    "Condition",
    "DekCache",
    "DekFollower",
    "DekStore",
    "EncryptedContainer",
    "EnvProvider",
    "FieldCodec",
    "FieldEncryptError",
    "FieldEncryption",
    "FieldPlace",
    "FieldPolicy",
    "KeyPolicy",
    "KeyVaultProvider",
    "MekClient",
    "MekProvider",
    "OperatorError",
    "PartitionKeyValue",
    "QuarantineReason",
    "QuarantinedRow",
    "RetryError",
    "RetryingProvider",
    "RewrapProgress",
    "RewrapResult",
    "RowCodec",
    "RowDefaults",
    "RowNames",
    "WrappedDek",
    "looks_encrypted",
    "open_for_rewrap",
    "provider_from_environment",
    "rewrap_all",
]
