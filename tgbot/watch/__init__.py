"""The room from which the process is seen from outside: whether it is well, and its numbers."""
