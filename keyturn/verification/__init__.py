"""What must hold before people are asked and after a version is disabled: canaries decrypt, the backend answers."""
