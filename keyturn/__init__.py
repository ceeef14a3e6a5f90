"""The host-free core of Keyturn: everything a rotation does, callable without Azure Functions."""
