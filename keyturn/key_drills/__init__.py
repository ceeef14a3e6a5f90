"""Drills of key backups: one restored, rows opened with it, and what came of it kept and told."""
