"""What the ``migration`` workflow does for each kind of migration, one a file, and what they share."""
