"""The task hub: Microsoft's in-memory durable backend in a process of its own, with its delivery defects mended.

Three subclasses mend one thing each: ``generations`` (what belongs to which run of an instance), ``leases`` (what is
with which worker) and ``backend`` (what a client may ask, and how the server listens).
"""
