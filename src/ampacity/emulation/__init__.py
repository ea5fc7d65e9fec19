"""Pools that are emulated: a process of its own that answers as a scenario's inference servers would, at their pace."""
