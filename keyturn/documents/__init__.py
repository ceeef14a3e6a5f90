"""Work on documents that hold encrypted fields: encrypt them, put them under fresh DEKs, check that they decrypt."""
