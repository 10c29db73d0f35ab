"""How the learning rate changes over training: every file is an option, or a part of one, of the config group `schedule`."""
