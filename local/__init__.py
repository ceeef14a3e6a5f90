"""A local Azure on which the unchanged app and the production SDK clients run: no account, no Docker, no Core Tools.

Nothing that is deployed imports this package.
"""
