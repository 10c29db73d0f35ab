"""What watches a training run: every file is an option, or a part of one, of the config group `callbacks`."""
