"""Who asks for how much, and when: subscribers, sessions, traces, reactions. Knows nothing of supply."""
