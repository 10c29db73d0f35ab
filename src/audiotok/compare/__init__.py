"""Runs beside each other, in one page that opens from a file: `audiotok compare FOLDER...`.

`runs` reads what runs left, `settings` finds in what they differ, `bootstrap` asks how far luck goes,
`importance` which setting matters, and `page` writes it all down. Nothing here loads torch, and nothing in
the page is loaded from elsewhere.
"""
