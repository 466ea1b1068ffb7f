"""Repeat a sample of a tomogram's measurements, within a tolerance that is measured on the spot."""
