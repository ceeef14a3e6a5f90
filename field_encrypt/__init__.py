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
from field_encrypt.field_policy import FieldPolicy
from field_encrypt.follower import DekFollower
from field_encrypt.key_policy import KeyPolicy
from field_encrypt.key_vault import MekClient
from field_encrypt.key_vault_provider import CURRENT_VERSION_MAX_AGE_SECONDS, KeyVaultProvider
from field_encrypt.places import UNSTATED, PartitionKeyValue
from field_encrypt.provider import MekProvider
from field_encrypt.retrying_provider import RetryingProvider
from field_encrypt.rows import RowDefaults, RowNames, WrappedDek

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
    "FieldEncryptError",
    "FieldEncryption",
    "FieldPolicy",
    "KeyPolicy",
    "KeyVaultProvider",
    "MekClient",
    "MekProvider",
    "OperatorError",
    "PartitionKeyValue",
    "RetryError",
    "RetryingProvider",
    "RowDefaults",
    "RowNames",
    "WrappedDek",
    "provider_from_environment",
]
