"""Files on disk: written whole, and read within limits, whoever wrote them.

parsing   JSON, YAML and text of anybody's, refused beyond limits of size, depth and repetition
arrays    NumPy arrays and zip archives of anybody's, whose headers and checksums are compared first
writing   a file is replaced in one step, and is never seen half written
checksum  sums of the files in a folder, written once and checked when it is read
keys      keys made from content, for files that are found by what they hold
locking   locks between processes, which leave no file behind
"""
