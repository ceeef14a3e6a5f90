"""Every name that dashboards and alerts may rely on, as data; ``docs/telemetry.md`` lists the same."""

from typing import Literal, NamedTuple

SCOPE = "keyturn"

# Attributes of spans, metrics and log records.
ROTATION = "keyturn.rotation.id"
KEYRING = "keyturn.keyring"
EVENT = "keyturn.event"
ACTIVITY = "keyturn.activity"
INPUT_DIGEST = "keyturn.activity.input_digest"
STATE = "keyturn.state"
STEP = "keyturn.step"
ROW_STATE = "keyturn.row.state"
PHASE = "keyturn.phase"
OUTCOME = "keyturn.outcome"
SCHEME = "keyturn.channel.scheme"
ERROR_TYPE = "error.type"

ATTRIBUTES = {
    ROTATION: "the rotation, on every span and log record of its",
    KEYRING: "the keyring",
    EVENT: "what people are told, as in `keyturn/notifications/events.py`",
    ACTIVITY: "the activity's name",
    INPUT_DIGEST: "of the activity's input: a span of an activity that is run again has the same",
    STATE: "the state of the rotation",
    STEP: "number of the state change that began the state",
    ROW_STATE: "`on_target`, `stale`, `unlabelled` (stale as well), `foreign` or `quarantined`",
    PHASE: "`sweep` or `proof`",
    OUTCOME: "of an activity `ok` or `error`; of a message `sent`, `failed` or `interrupted`",
    SCHEME: "the service that a channel belongs to, as `slack`",
    ERROR_TYPE: "the type of what was raised, never its text",
}


class Metric(NamedTuple):
    """An instrument, what it measures and by what it is divided."""

    name: str
    unit: str
    description: str
    attributes: tuple[str, ...] = (KEYRING,)
    # gauge: an absolute number out of the record, the same however often it is written.
    # counter, histogram: what really happened in a process, also where an activity was run again.
    kind: Literal["gauge", "counter", "histogram"] = "gauge"


ROWS = Metric("keyturn.rows", "{row}", "rows of the dek store, as last counted", (KEYRING, ROW_STATE))
CHANGED = Metric("keyturn.rotation.rows_changed", "{row}", "rows rewrapped (sweep) or proven (proof)", (KEYRING, PHASE))
VAULT_CALLS = Metric(
    "keyturn.rotation.vault_calls", "{call}", "operations asked of the vault for rows", (KEYRING, PHASE)
)
THROTTLES = Metric("keyturn.rotation.vault_throttles", "{call}", "429 answers of the vault", (KEYRING, PHASE))
STATE_SECONDS = Metric(
    "keyturn.rotation.state_duration", "s", "time spent in a state, when it was left", (KEYRING, STATE)
)
SINCE_ROTATION = Metric(
    "keyturn.keyring.since_rotation", "s", "time since a rotation was completed, at the schedule's tick"
)
OVERDUE = Metric("keyturn.keyring.overdue", "1", "1 while a rotation is overdue, else 0")
DRIFT_ROWS = Metric("keyturn.keyring.unreadable_rows", "{row}", "rows under a disabled or missing version")
DRIFT_VERSIONS = Metric("keyturn.keyring.enabled_by_others", "{version}", "retired versions that were enabled since")
ACTIVITY_SECONDS = Metric(
    "keyturn.activity.duration",
    "s",
    "an activity's run; page latency is that of scan_page, rewrap_page and prove_page",
    (KEYRING, ACTIVITY, OUTCOME),
    kind="histogram",
)
REQUEST_CHARGE = Metric(
    "keyturn.cosmos.request_charge",
    "{RU}",
    "request units that Cosmos DB charged, in an activity by keyring",
    kind="counter",
)
NOTIFICATIONS = Metric(
    "keyturn.notifications",
    "{message}",
    "messages to people, by what became of them",
    (EVENT, SCHEME, OUTCOME),
    kind="counter",
)

METRICS = (
    *(ROWS, CHANGED, VAULT_CALLS, THROTTLES, STATE_SECONDS, SINCE_ROTATION, OVERDUE),
    *(DRIFT_ROWS, DRIFT_VERSIONS, ACTIVITY_SECONDS, REQUEST_CHARGE, NOTIFICATIONS),
)
