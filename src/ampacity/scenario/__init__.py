"""The nouns of a scenario, frozen after loading: what there is, who promised it, and who wants it. No arithmetic on them."""
