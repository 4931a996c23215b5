"""Study files: reading and checking them, their search space, limits and time estimate."""
