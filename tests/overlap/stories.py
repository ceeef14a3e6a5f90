"""Every kind of run that the explorer plays, by name."""

from collections.abc import Mapping

from tests.overlap.migration_stories import DOCUMENTS, ROWS_MOVED
from tests.overlap.rotation_stories import EARLY_FAILURE, FAILURE, REINSTATEMENT, ROTATION, SECOND_ROUND
from tests.overlap.story import Story

STORIES: Mapping[str, Story] = {
    "rotation": ROTATION,
    "reinstatement": REINSTATEMENT,
    "failure": FAILURE,
    "early failure": EARLY_FAILURE,
    "second round": SECOND_ROUND,
    **ROWS_MOVED,
    **DOCUMENTS,
}
