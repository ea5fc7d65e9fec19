"""Limits, capacity curves, contracts: closed form first. `plan` is its verb."""
