"""Rows of the dek store, and everything that is done to a page of them."""
