"""The usage ledger: its schema, appending, reading, keeping. No decision is taken here.

It holds counts, times and names of configuration; never a prompt, an answer or a key.
"""
