"""Microsoft's own tests of its SDKs, run against the local services."""
