"""Logits to scores: every file is an option of the config group `metrics`."""
