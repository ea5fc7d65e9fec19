"""Cited facts and packaged scenarios: data only, no program."""
