"""The operator's side of the live service: its terms, keys, processes, and what is asked of it while it runs."""
