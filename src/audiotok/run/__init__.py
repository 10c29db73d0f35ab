"""The folder of a run: everything that is written to it and read from it."""
