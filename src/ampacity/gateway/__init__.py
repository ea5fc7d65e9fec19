"""The live service: the simulated policy on real traffic. `serve` is its verb."""
