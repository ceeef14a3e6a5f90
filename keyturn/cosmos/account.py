"""The Cosmos DB account in Azure Resource Manager: how it is backed up, and throw-away containers of the doctor."""

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any

from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import AzureError, ClientAuthenticationError, HttpResponseError
from azure.core.pipeline.transport import AsyncHttpTransport
from azure.mgmt.cosmosdb import models
from azure.mgmt.cosmosdb.aio import CosmosDBManagementClient

from keyturn.errors import PermissionMissingError, ResourceMissingError, UnavailableError

RESOURCE = "the Cosmos DB account in Azure Resource Manager"


class CosmosAccount:
    """One account, named by its resource id."""

    def __init__(
        self,
        resource_id: str,
        manager_url: str,
        credential: AsyncTokenCredential,
        *,
        transport: AsyncHttpTransport[Any, Any] | None = None,
    ) -> None:
        """Make a client; ``transport`` replaces the SDK's own and is closed with the client."""
        _, _, subscription, _, self._group, _, _, _, self._name = resource_id.split("/")
        manager = manager_url.rstrip("/")
        options: dict[str, Any] = {} if transport is None else {"transport": transport}
        self._client = CosmosDBManagementClient(
            credential,
            subscription,
            base_url=manager,
            # Each cloud's resource manager takes tokens that are issued for its own URL.
            credential_scopes=[f"{manager}/.default"],
            retry_total=0,  # pre-flight asks again by itself
            **options,
        )

    async def continuous_backup(self) -> str | None:
        """Return the tier of the account's continuous backup, or None where it is backed up periodically.

        Raises:
            PermissionMissingError: the identity may not read the account.
            ResourceMissingError: there is no such account.
            UnavailableError: the resource manager did not answer.
        """
        with _failures("read"):
            account = await self._client.database_accounts.get(self._group, self._name)
        policy: models.BackupPolicy | None = account.properties.backup_policy if account.properties else None
        if not isinstance(policy, models.ContinuousModeBackupPolicy):
            return None
        tier = policy.continuous_mode_properties.tier if policy.continuous_mode_properties else None
        # An account that is older than the choice between two tiers has the longer one. A tier that the SDK does not
        # know stays a text.
        return str(getattr(tier, "value", tier) or "Continuous30Days")

    async def create_container(self, database: str, name: str, partition_key: str) -> None:
        """Create a container with the least throughput that the account gives by itself.

        Raises:
            PermissionMissingError: the identity may not create containers.
            KeyturnError: of the kind that the failure means.
        """
        key = models.ContainerPartitionKey(paths=[partition_key], kind="Hash", version=2)
        resource = models.SqlContainerResource(id=name, partition_key=key)
        properties = models.SqlContainerCreateUpdateProperties(resource=resource)
        parameters = models.SqlContainerCreateUpdateParameters(properties=properties)
        with _failures("create containers in"):
            creation = await self._client.sql_resources.begin_create_update_sql_container(
                self._group, self._name, database, name, parameters
            )
            await creation.result()

    async def delete_container(self, database: str, name: str) -> None:
        """Delete a container with everything in it; raises KeyturnError of the kind that the failure means."""
        with _failures("delete containers of"):
            deletion = await self._client.sql_resources.begin_delete_sql_container(
                self._group, self._name, database, name
            )
            await deletion.result()

    async def close(self) -> None:
        """Close the connections; the credential stays open, it is the caller's."""
        await self._client.close()


@contextmanager
def _failures(operation: str) -> Iterator[None]:
    try:
        yield
    except AzureError as error:
        status = error.status_code if isinstance(error, HttpResponseError) else None
        if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN) or isinstance(error, ClientAuthenticationError):
            refused = f"the app's identity may not {operation} the Cosmos DB account"
            raise PermissionMissingError(refused, resource=RESOURCE, operation=operation) from error
        if status == HTTPStatus.NOT_FOUND:
            raise ResourceMissingError(f"{RESOURCE} does not exist", resource=RESOURCE) from error
        text = f"{RESOURCE} did not answer ({status or type(error).__name__})"
        raise UnavailableError(text, resource=RESOURCE) from error
