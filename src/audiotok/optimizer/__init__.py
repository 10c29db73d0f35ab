"""How weights are changed by gradients: the options of the config group `optimizer`."""
