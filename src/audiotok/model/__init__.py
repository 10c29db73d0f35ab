"""Tokens to logits: every file is an option of the config group `model`."""
