"""One readable page and one read object from a tomogram's folder."""
