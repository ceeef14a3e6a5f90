"""What every local service shares: how it is served, its TLS, its fault injection."""
