"""The function app: nothing but its parts."""

import os

import azure.durable_functions as df
import azure.functions as func

from activities import (
    counting,
    deciding,
    documents,
    pages,
    preflight,
    recording,
    restoring,
    retiring,
    verifying,
    versions,
)
from keyturn import telemetry
from orchestrators import migration, rotation, row_pass, soak, sweep, watch
from triggers import (
    api_description,
    approval_page,
    approvals,
    audit,
    console,
    diagnosis,
    doctor,
    domain_events,
    health,
    key_backups,
    keyrings,
    migrations,
    rollback_and_restore,
    rotations,
    schedule,
)

telemetry.configure(os.environ)

app = df.DFApp(http_auth_level=func.AuthLevel.FUNCTION)

for part in (
    *(
        rotations,
        keyrings,
        migrations,
        rollback_and_restore,
        approvals,
        approval_page,
        audit,
        console,
        diagnosis,
        doctor,
        key_backups,
        api_description,
        health,
    ),
    *(schedule, domain_events),
    *(rotation, sweep, row_pass, soak, watch, migration),
    *(preflight, versions, pages, documents, counting, verifying, deciding, retiring, restoring, recording),
):
    app.register_functions(part.bp)
