"""Who may do what: roles, whom the platform vouches for, and how often one may be refused."""
