"""What decides: stores, limits, admission, queueing, routing.

Pure functions over plain integers and a given time; the simulator compiles them, the gateway calls them.
"""
