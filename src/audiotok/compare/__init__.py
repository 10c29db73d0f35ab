"""Compare runs in one HTML page that opens from a file: `audiotok compare FOLDER...`.

`settings` finds the settings in which runs differ, `bootstrap` estimates how much of a difference is chance,
`importance` measures which setting matters, and `page` writes the page; `run.reader` reads the runs. Nothing
here loads torch, and the page loads nothing from a network.
"""
