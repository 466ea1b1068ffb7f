"""Dictionaries: sparse codes of a model's activations.

One kind a file (`topk`), one base (`dictionary`), one trainer (`trainer`), one file a format
(`formats/`), and what is measured of them (`quality`, `splice`), beside `pca`.
"""
