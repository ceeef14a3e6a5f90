"""The command line: ``keyturn``, or ``python -m keyturn.cli`` in a checkout.

At the top of a module here stand typer and such modules of ours as load without an SDK or pydantic. Whatever else a
command needs, it imports when it runs: the SDKs take most of a second, and ``--help`` lists every command.
"""
