"""Diagnosis: why a document or a DEK does not open, and what to do; orphans: what names nothing, or nothing names.

Everything here but a repair only reads, and nothing that it returns is, holds or reveals plaintext, a DEK or a wrap.
"""
