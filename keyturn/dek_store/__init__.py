"""The dek store as a rotation sees it: rows told apart, counted, found through the change feed, and rewritten."""
