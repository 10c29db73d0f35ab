"""The steps of `benchmarks/gpu.py`: each module has a `measure` that yields what it finds as it finds it."""
