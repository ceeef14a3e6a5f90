"""The Functions host: Azure's own Python worker indexes and runs the app; this is only the shell around it.

``worker`` drives the worker package, ``http_triggers``, ``timer_triggers`` and ``durable_triggers`` start functions,
``durable_webhooks`` and ``admin`` are the host's own endpoints.
"""
