"""References: no document may name a DEK that the dek store lacks. Sampled; the rest is the orphan scan's work."""

from azure.core.exceptions import AzureError
from azure.cosmos.aio import ContainerProxy

from field_encrypt import DekStore
from field_encrypt.errors import DekNotFoundError, InvalidRowError, RetryError
from keyturn.diagnosis.naming import sampled_deks
from keyturn.errors import UnavailableError
from keyturn.settings import DocumentContainer

SAMPLE = 50


async def missing_deks(container: ContainerProxy, description: DocumentContainer, deks: DekStore) -> list[str]:
    """Return the dekIds that sampled documents name and the store lacks.

    Raises:
        UnavailableError: a container did not answer.
    """
    missing: list[str] = []
    try:
        for dek_id in sorted(await sampled_deks(container, description, SAMPLE)):
            try:
                await deks.read(dek_id)
            except DekNotFoundError:
                missing.append(dek_id)
            except InvalidRowError:
                continue  # it is there; that it is malformed is the sweep's to report
    except (AzureError, RetryError) as error:
        raise UnavailableError(f"container {description.name} did not answer", resource=description.name) from error
    return missing
