"""Starts, watches, restarts and stops the local services, seeds what is missing, and writes ``endpoints.json``."""

from local.supervisor.azure import LocalAzure
from local.supervisor.options import Options

__all__ = ["LocalAzure", "Options"]
