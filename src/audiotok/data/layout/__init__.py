"""How clips lie on disks: `layout` says what a layout is and chooses one, every other file is one of them."""
