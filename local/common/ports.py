"""Ports of loopback for services that listen on them a moment later, and again after a restart.

A port that the kernel proposes may be gone by then: it gives the same ones to outgoing connections, of which there are
many here. So a port is drawn from below what it gives to those.
"""

import random
import socket

LOOPBACK = "127.0.0.1"
# Linux gives 32768 and more to outgoing connections, unless net.ipv4.ip_local_port_range says otherwise.
LOWEST, HIGHEST = 10_240, 32_767

_drawn: set[int] = set()  # by this process
_draw = random.SystemRandom().randint


def is_free(port: int) -> bool:
    """Tell whether nothing listens on the port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """Return a port that nothing listens on, each once a process."""
    while (port := _draw(LOWEST, HIGHEST)) in _drawn or not is_free(port):
        pass
    _drawn.add(port)
    return port
