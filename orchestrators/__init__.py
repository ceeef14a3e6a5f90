"""The workflows: deterministic generators, one a file. They name activities by string and touch nothing else."""
