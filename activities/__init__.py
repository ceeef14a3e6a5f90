"""Activities: thin registered functions, one concern a file. What they do is in ``keyturn``; here it is only called."""
