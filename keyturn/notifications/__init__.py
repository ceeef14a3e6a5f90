"""Tell people what happens to a rotation: once each, in plain words, on every channel that is set, and in the log."""
