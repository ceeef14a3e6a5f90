"""One rotation, step by step: its states, its record, and what each step does."""
