"""Tell people what happens to a rotation."""

from keyturn.notifications.announce import announce

__all__ = ["announce"]
