"""Settings: from the environment, validated once, with errors that name the variable."""

from keyturn.settings.app import Settings, load_settings
from keyturn.settings.keyring import DocumentContainer, HealthProbe, Keyring, RowNames
from keyturn.settings.types import MaintenanceWindow

__all__ = ["DocumentContainer", "HealthProbe", "Keyring", "MaintenanceWindow", "RowNames", "Settings", "load_settings"]
