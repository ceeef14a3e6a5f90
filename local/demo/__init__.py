"""A whole rotation on the local Azure under live traffic, shown as it happens and checked from outside."""
