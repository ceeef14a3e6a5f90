"""Where diagnosis answers: routes, methods and levels are the API."""

import azure.durable_functions as df

from tests.triggers.registered import triggers_of
from triggers import diagnosis


def test_diagnosis_answers_where_it_is_documented() -> None:
    """What reads is GET, the repair is POST, and all of it needs a key."""
    app = df.DFApp()
    app.register_functions(diagnosis.bp)

    found = {name: trigger for name, trigger in triggers_of(app).items() if trigger["type"] == "httpTrigger"}

    assert {
        name: ([method.value for method in trigger["methods"]], trigger["route"], trigger["authLevel"].value)
        for name, trigger in found.items()
    } == {
        "get_dek": (["GET"], "deks/{dek_id}", "function"),
        "repair_dek": (["POST"], "deks/{dek_id}/repair", "function"),
        "get_document_diagnosis": (["GET"], "documents/diagnosis", "function"),
        "get_orphans": (["GET"], "orphans", "function"),
        "verify_keyring": (["POST"], "verifications", "function"),
    }
