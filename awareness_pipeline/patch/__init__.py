"""A commit's patch as text: what the header of each file says, and its hunks, exactly."""
