"""Files on disk: written whole, and read within limits, whoever wrote them.

parsing   JSON and YAML of anybody's, refused beyond limits of size, depth and repetition
writing   a file is replaced in one step, and is never seen half written
"""
