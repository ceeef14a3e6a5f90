"""Whether the app may do all that a migration of documents needs: asked before the first document is changed.

Each right is found out by using it without effect, as pre-flight does it: a migration that met a missing right half-way
would leave documents that nobody was asked about.
"""

from collections.abc import Iterable
from http import HTTPStatus

from azure.cosmos.aio import ContainerProxy
from azure.cosmos.exceptions import CosmosHttpResponseError

from field_encrypt import KeyVaultProvider, PatientProvider
from field_encrypt.dek import Dek
from field_encrypt.mek_errors import MekError
from keyturn.contracts.pages import RowRef
from keyturn.cosmos_failures import cosmos_failures, is_absent_item
from keyturn.errors import InvariantError, PermissionMissingError
from keyturn.key_vault.failures import keyturn_error
from keyturn.preflight.inquiry import nobody
from keyturn.resources import KeyringResources

HINT = "deploy with documentMigrations for as long as documents are migrated: infra/README.md says what that allows"


async def require_rights(source: KeyringResources, containers: Iterable[str], target: KeyringResources) -> None:
    """Try what a migration does: replace a document, read and create a row of the target, and open a DEK of its MEK.

    Raises:
        PermissionMissingError: a right is missing; facts say which, and where.
        KeyturnError: of the kind that the answer of vault or database means.
    """
    try:
        for name in containers:
            await _require_replace(source.documents[name], name)
        absent = nobody()
        await target.rows.read(RowRef(id=absent, partition=absent), "")
        await _require_create(target.dek_container, f"dek store {target.dek_container.id}")
    except PermissionMissingError as error:
        raise PermissionMissingError(error.message, hint=HINT, **error.facts) from error
    await _require_round_trip(target)


async def _require_replace(container: ContainerProxy, name: str) -> None:
    """Ask to replace a document that does not exist, which a replace never creates."""
    absent = nobody()
    async with cosmos_failures(f"container {name}", "replace documents"):
        try:
            await container.replace_item(absent, {"id": absent})
        except CosmosHttpResponseError as error:
            if not is_absent_item(error):
                raise


async def _require_create(container: ContainerProxy, name: str) -> None:
    """Ask to create a row without an id, which is refused as invalid to whoever may create rows."""
    async with cosmos_failures(name, "create rows"):
        try:
            await container.create_item({"keyturn": nobody()})
        except CosmosHttpResponseError as error:
            if error.status_code != HTTPStatus.BAD_REQUEST:
                raise
            return
    raise InvariantError("a row was created that must be refused", resource=name)


async def _require_round_trip(keyring: KeyringResources) -> None:
    """Wrap a DEK that nobody uses as new rows are wrapped, and open it as readers do."""
    provider = PatientProvider(KeyVaultProvider(keyring.mek))
    try:
        await provider.unwrap(await provider.wrap(Dek.generate()))
    except MekError as error:
        raise keyturn_error(error, "wrap and unwrap") from error
