"""Custody under attack: adversaries, alterations, kills, a million rows, refusals."""
