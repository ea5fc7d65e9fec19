"""The nouns of a scenario, frozen after loading: what there is, who promised it, who wants it. No arithmetic."""
