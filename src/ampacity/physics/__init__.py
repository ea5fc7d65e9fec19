"""Sites on the ground and in the sky: power, emission factors, reliability, orbit, heat. Pure functions."""
