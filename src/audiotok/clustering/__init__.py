"""Frames to tokens: `codebooks` is the interface, `lloyd` what most options share, the rest are options."""
