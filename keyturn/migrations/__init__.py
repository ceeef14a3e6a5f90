"""Migrations of documents or rows: while one runs, its lease keeps rotations of the same keyring from starting."""
