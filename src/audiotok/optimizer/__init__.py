"""How weights are changed by gradients: every file is an option, or a part of one, of the config group `optimizer`."""
