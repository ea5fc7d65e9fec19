"""What contracts and sites deliver hour by hour: the waterfall, the bill, energy and air. Knows nothing of limits."""
