"""The HTTP API as data: its OpenAPI description."""
