"""Answers for people: sentences, tables, plots, the page. `report` is its verb."""
