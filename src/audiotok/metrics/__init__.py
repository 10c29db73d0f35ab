"""Logits to scores: every file is an option of the config group `metrics`, or a part of one."""
