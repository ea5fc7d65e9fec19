"""Forecast, then measure: the gateway's own decisions on a load that is known, before anything runs, and held after."""
