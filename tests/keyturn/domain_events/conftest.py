"""An outbox between a ``keyturn`` container and the local actiontrail."""

from collections.abc import AsyncIterator, Iterator

import pytest

from keyturn.domain_events.actiontrail import Actiontrail
from keyturn.domain_events.outbox import Outbox
from keyturn.runs.store import RotationStore
from tests.local.actiontrail.receiver import Receiver


@pytest.fixture(scope="module")
def receiver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    """The receiver; a test leaves it up and without faults."""
    running = Receiver(tmp_path_factory.mktemp("actiontrail"))
    yield running
    running.service.stop()


@pytest.fixture
async def outbox(runs: RotationStore, receiver: Receiver) -> AsyncIterator[Outbox]:
    """The outbox under test."""
    actiontrail = Actiontrail(receiver.url, receiver.secrets[:1])
    yield Outbox(runs.documents, actiontrail)
    await actiontrail.close()
