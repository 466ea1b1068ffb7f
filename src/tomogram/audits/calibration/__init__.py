"""Calibration: what the audits score on organisms and clean copies, and what follows from it."""
