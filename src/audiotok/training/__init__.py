"""Training by Lightning, and the config groups loss, metrics, objective, optimizer and schedule."""
