"""Plugins of the whole suite: services, what reads messages and telemetry, and what looks for leaks."""

import os
import signal

# A terminal's command begins as a fork of this process, in which gRPC would start its threads again: until the command
# replaces them they write errors of closed files to the terminal. Read when gRPC is first used.
os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"

# A shell that runs the suite in the background has it ignore Ctrl-C, and with it the commands that tests interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)

pytest_plugins = [
    "pytester",
    "tests.azure_option",
    "tests.left_open",
    "tests.services",
    "tests.keyturn.notifications.inbox",
    "tests.keyturn.telemetry.recorded",
]
