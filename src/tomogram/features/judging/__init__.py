"""Judging: does a label tell where its feature fires? Asked of a judge that did not write it."""
