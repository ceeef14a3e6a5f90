"""Plugins of the whole suite: services, what reads messages and telemetry, and what looks for leaks."""

pytest_plugins = [
    "pytester",
    "tests.azure_option",
    "tests.left_open",
    "tests.services",
    "tests.keyturn.notifications.inbox",
    "tests.keyturn.telemetry.recorded",
]
