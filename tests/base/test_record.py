"""What a result says of itself."""

from __future__ import annotations

import json
from datetime import date

from ampacity.base.record import Record


def test_a_record_is_plain_json_with_its_day_as_text() -> None:
    record = Record("laptop", "0123456789abcdef", seed=1, worlds=200, version="0.1.0", as_of=date(2026, 5, 6))
    plain = json.loads(json.dumps(record.as_dict()))
    assert plain["as_of"] == "2026-05-06"
    assert (plain["seed"], plain["worlds"], plain["scenario_hash"]) == (1, 200, "0123456789abcdef")


def test_a_record_without_a_day_says_nothing_of_it() -> None:
    assert Record("laptop", "0", 1, 1, "0.1.0").as_dict()["as_of"] is None
