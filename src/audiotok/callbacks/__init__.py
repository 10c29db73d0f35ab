"""What watches a training run: the options of the config group `callbacks`, and those that every run has."""
