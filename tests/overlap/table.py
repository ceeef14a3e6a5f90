"""The explorer's numbers, as ``docs/testing.md`` states them."""

from collections.abc import Iterable, Mapping

from tests.overlap.places import PLACES, Place

HEAD = "| Activity | Run, and point in it | Pause points |\n| --- | --- | --- |"


def row(place: Place, stops: int) -> str:
    """Return the table's row of one place."""
    what = f"`{place.activity}` {place.note}".strip()
    return f"| {what} | {place.story}, {place.point} | {stops} |"


def pairs(places: Iterable[Place] = PLACES) -> int:
    """Return how many pairs there are: each place with each of the same kind of run, itself included."""
    stories = [place.story for place in places]
    return sum(stories.count(story) ** 2 for story in set(stories))


def summary(stops: int) -> str:
    """Return the sentence of totals."""
    activities = len({place.activity for place in PLACES})
    return f"{activities} activities at {len(PLACES)} places, {pairs()} pairs, {stops} pause points."


def table(stops: Mapping[Place, int]) -> str:
    """Return the sentence and the table."""
    rows = "\n".join(row(place, found) for place, found in stops.items())
    return f"{summary(sum(stops.values()))}\n\n{HEAD}\n{rows}"
