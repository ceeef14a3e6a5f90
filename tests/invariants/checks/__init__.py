"""The invariants as questions to the world: each check returns what is wrong, in plain words; an empty list holds.

A check looks from outside only: at stored rows, versions and their tags, the vault's operation log, the run's records.
It never asks the code under test whether it did well.
"""
