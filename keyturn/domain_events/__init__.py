"""Every audit event, told to the outside: delivered to the actiontrail endpoint, in order, however long it was away."""
