"""M3 in the twin: the lease taken back request by request, without notice and with half an hour of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def test_without_notice_every_request_in_flight_breaks_off(taken_back: Callable[[str], Any]) -> None:
    flight = taken_back("0")["in_flight"]
    assert flight["broken_off"]["value"] == flight["at_the_event"]["value"] > 500


def test_with_half_an_hour_of_notice_every_request_in_flight_is_answered(taken_back: Callable[[str], Any]) -> None:
    flight = taken_back("30min")["in_flight"]
    assert flight["finished_in_time"]["value"] == flight["at_the_event"]["value"] > 500
