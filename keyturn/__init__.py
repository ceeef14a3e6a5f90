"""The host-free core of Keyturn: everything a rotation does, callable without Azure Functions."""

__version__ = "0.1.0"  # the package's too: pyproject.toml reads it here
