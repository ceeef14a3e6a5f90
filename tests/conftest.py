"""Plugins of the whole suite."""

pytest_plugins = ["pytester", "tests.left_open", "tests.services"]
