"""The ground floor: units, calendar, keyed random streams, the record of a result. Knows nothing of AI compute."""
