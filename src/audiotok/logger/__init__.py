"""Where a run reports its scores: the options of the config group `logger`, and their interface."""
