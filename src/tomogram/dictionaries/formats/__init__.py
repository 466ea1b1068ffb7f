"""Formats: the files other tools write and read, one a file.

Each format's module has `matches(folder)`, `read(folder)` and `save(...)`; what they read is
settled into the one convention of `Dictionary` by `conventions`, and `load` puts them together.
"""
