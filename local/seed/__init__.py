"""Seeds what every rotation needs, as a client process of its own: containers and the MEK."""
