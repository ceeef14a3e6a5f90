"""Break-glass: a run's steps in the operator's own process while the app is down, under the same lease and record."""
