"""Every line of docs/assumptions.md by its id: which the doctor looks at, which it probes, and which people check.

A test holds these ids to those of the page.
"""

from keyturn.doctor.database import DATABASE
from keyturn.doctor.probe_database import DATABASE_PROBES
from keyturn.doctor.probe_vault import BURST_PROBES, VAULT_PROBES
from keyturn.doctor.vault import VAULT

# What needs a rotation, a crash, another role or a split to be seen: the page says how people check it.
BY_HAND = (
    *("kv_rights_apart", "kv_rights_first", "kv_lost_creation", "kv_backup_whole", "kv_wrap_under_disabled"),
    *("kv_sdk_repeats_creation", "kv_creation_settles"),
    *("cosmos_sdk_repeats_create", "cosmos_split_loses_nothing", "cosmos_count_after_split"),
    *("cosmos_batch_session", "cosmos_sdk_repeats_write", "cosmos_query_rights", "cosmos_rights_first"),
    *("cosmos_feed_after_split", "cosmos_order_by_index"),
    *("host_work_runs_again", "host_result_counts_once", "host_generations_apart", "host_events_saved"),
    *("host_empty_fan_out", "host_one_instance_an_id", "host_events_refused", "host_failure_text"),
    *("host_concurrency_each", "host_orchestrator_parameter", "host_unhandled_500", "host_missed_timer"),
    *("host_principal_header", "host_ncrontab", "host_hides_queries"),
)
HOST = ("host_keys",)  # of the app itself, where its URL is known
LOOKED_AT = (*VAULT, *DATABASE, *HOST)
PROBED = (*VAULT_PROBES, *BURST_PROBES, *DATABASE_PROBES)
IDS = (*LOOKED_AT, *PROBED, *BY_HAND)
