"""The folder of a run: what is written to it, and reading it again."""
