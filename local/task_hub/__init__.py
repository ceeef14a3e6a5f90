"""The task hub: Microsoft's in-memory durable backend in a process of its own, with its delivery defects fixed.

Each subclass adds one thing: ``generations`` (what belongs to which run of an instance), ``workers``,
``orchestrations``, ``activities`` and ``entities`` (what is with which worker, and until when) and ``backend`` (what a
client may ask, and how the server listens). ``limits`` has the service's limits.
"""
