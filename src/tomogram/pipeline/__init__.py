"""The stages put together: the scan and its helpers."""
