"""Seeds what a local Azure lacks, as a client process of its own: containers, the MEK, and notes with a DEK each."""
