"""The approver's page, and the link that opens it."""
