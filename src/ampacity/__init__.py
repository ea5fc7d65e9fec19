"""Ampacity: what usage limits can this AI compute carry, and what happens to them when the compute changes?"""
