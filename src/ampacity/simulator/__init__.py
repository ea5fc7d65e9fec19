"""The fleet twin: what every request meets. `simulate` is its verb."""
