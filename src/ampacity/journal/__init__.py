"""The usage ledger: its schema, appending, reading. No decision is taken here."""
