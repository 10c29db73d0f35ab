"""What watches a training run: the parts of the options of the config group `callbacks`."""
