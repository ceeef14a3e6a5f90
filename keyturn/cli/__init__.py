"""The command line: ``python -m keyturn.cli``."""
