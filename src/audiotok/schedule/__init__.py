"""How the learning rate changes over training: the options of the config group `schedule`."""
