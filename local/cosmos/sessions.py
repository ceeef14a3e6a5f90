"""Session tokens in the SDK's vector form: ``<range id>:<version>#<lsn>``, several joined by commas."""

from local.cosmos.errors import bad_request, not_found
from local.cosmos.partitions import Partition

_VERSION = 1


def token_of(partition: Partition, lsn: int) -> str:
    """Return the token of a client that has seen the partition as of this commit."""
    return f"{partition.id}:{_VERSION}#{lsn}"


def required_lsn(header: str | None, partition: Partition) -> int:
    """Return the commit that a read with this session token must see, 0 without one.

    Tokens of the partitions that this one was split from count too.

    Raises:
        CosmosError: 400 if the token is malformed; 404 with substatus 1002 if it is ahead of the partition.
    """
    if not header:
        return 0
    lsn = 0
    for part in header.split(","):
        range_id, _, vector = part.partition(":")
        if range_id == partition.id or range_id in partition.parents:
            lsn = max(lsn, _lsn(vector, header))
    if lsn > partition.lsn:
        raise not_found("The read session is not available for the input session token.", substatus=1002)
    return lsn


def _lsn(vector: str, header: str) -> int:
    try:
        return int(vector.split("#")[1])
    except (IndexError, ValueError):
        raise bad_request(f"The session token {header!r} is invalid") from None
