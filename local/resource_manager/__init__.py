"""Azure Resource Manager, as far as the app asks it: the properties of the database account."""
