"""Frames to tokens: `codebooks` is the interface, every other file an option of the group `clustering`."""
