"""What crosses the orchestrator boundary: frozen models, one input model a workflow or activity.

Payloads stay in durable history for weeks. So they name rows by id and never hold a DEK, a wrapped DEK, a token or a
secret, and every list in them is bounded so that none exceeds 64 KiB at any store size.
JSON is camelCase, as in the HTTP API.
"""
