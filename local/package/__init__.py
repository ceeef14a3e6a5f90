"""The deployment bundle: built as Functions gets it, installed into a clean environment, tried by a rotation."""
