"""The stages of a scan, one a file; each names its inputs and writes one folder."""
