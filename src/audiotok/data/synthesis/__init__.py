"""The sounds of the embedded dataset, synthesised."""
