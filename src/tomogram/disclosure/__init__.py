"""Disclosure: what a scan found and how interpretability was used, for publication.

One format a file; see docs/disclosure.md.
"""
