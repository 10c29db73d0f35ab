"""Where a run's figures go: the options of the config group `logger`, and what they share."""
