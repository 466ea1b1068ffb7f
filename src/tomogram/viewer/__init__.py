"""Viewer: a finished scan as pages in the browser, served on the loopback address or exported."""
