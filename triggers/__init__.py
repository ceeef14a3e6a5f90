"""What starts work: the HTTP API, the approval webhook, the schedule. Thin: what they do is in ``keyturn``."""
