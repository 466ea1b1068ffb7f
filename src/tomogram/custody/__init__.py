"""Custody: sealed suites, a budget of asks, a signed ledger, verification. See docs/custody.md."""
