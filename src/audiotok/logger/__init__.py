"""Where a run's figures go: every file is an option, or a part of one, of the config group `logger`."""
