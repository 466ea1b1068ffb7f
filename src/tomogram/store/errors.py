"""The one exception that is meant for users."""

from __future__ import annotations


class TomogramError(Exception):
    """A failure the user can act on, told in one clear sentence.

    The command prints the sentence to stderr and exits with code 2. Every other exception is a bug
    and keeps its traceback.
    """
