"""A managed-identity endpoint: tokens for named principals whose rights can be changed while everything runs."""
