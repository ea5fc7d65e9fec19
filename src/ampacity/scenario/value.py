"""A number with its claim: value or range, unit, basis, status, who says so, since when it is known, how sure.

A scenario writes `pue: 1.2`, or a mapping with `value`, `low`, `high` and the claim, or a list of such mappings
of different dates, of which the latest known on the `--as-of` day counts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    ValidationInfo,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import CoreSchema, PydanticCustomError
from pydantic_core.core_schema import with_info_before_validator_function

from ampacity.base.units import DIMENSIONS, UnitError, to_base

Status = Literal["announced", "reported", "filing", "disputed", "alleged", "derived", "assumed", "measured"]
Confidence = Literal["high", "medium", "low"]


class Noun(BaseModel):
    """What every noun has in common: frozen, no unknown keys."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", populate_by_name=True, allow_inf_nan=False, str_strip_whitespace=True
    )


class Value(Noun):
    """A number in base units with its claim.

    value: the best single number; the median of the range where only a range is known.
    low, high: the range that the truth is said to lie in; absent for a number taken as it is.
    unit: base unit. basis: what the number is counted on (server, it, facility; a price index; ...).
    status, who, source, known_since, confidence: the claim. reason: why a range or an assumption is what it is.
    together: ranges that name the same unknown are drawn at the same place, each within its own ends.
    """

    value: float
    low: float | None = None
    high: float | None = None
    unit: str = ""
    basis: str = ""
    status: Status = "assumed"
    who: str = ""
    source: str = ""
    known_since: date | None = None
    confidence: Confidence = "medium"
    reason: str = ""
    together: str = ""

    @property
    def is_range(self) -> bool:
        """Whether worlds draw it."""
        return self.low is not None and self.high is not None and self.high > self.low

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.low is not None and self.high is not None and not self.low <= self.value <= self.high:
            raise PydanticCustomError("mistake", "low, value and high must stand in this order")
        return self


CLAIM_KEYS = ("unit", "basis", "status", "who", "source", "known_since", "confidence", "reason", "together")


def read_value(found: Any, info: ValidationInfo, *, dimension: str, least: float | None, most: float | None) -> Any:
    """Whatever a scenario may write for a number, as the fields of a `Value`."""
    if isinstance(found, Value):
        return found
    if isinstance(found, list | dict):
        claims = found if isinstance(found, list) else [found]
        found = _latest_known(claims, (info.context or {}).get("as_of"))
    try:
        fields = _ranged(found, dimension) if isinstance(found, dict) else {"value": to_base(found, dimension)}
    except UnitError as err:
        raise PydanticCustomError("mistake", "{message}", {"message": str(err)}) from err
    for number in (fields.get("low"), fields["value"], fields.get("high")):
        _check_bounds(number, dimension, least, most)
    return {"unit": DIMENSIONS[dimension].unit, **fields}


def _ranged(found: dict[str, Any], dimension: str) -> dict[str, Any]:
    unknown = set(found) - {"value", "low", "high", *CLAIM_KEYS}
    if unknown:
        known = ", ".join(("value", "low", "high", *CLAIM_KEYS))
        raise UnitError(f'unknown key "{min(unknown, key=str)}" in a value; it has {known}')
    unit = found.get("unit") or ""
    fields = {k: found[k] for k in CLAIM_KEYS[1:] if found.get(k) is not None}
    for key in ("low", "value", "high"):
        if found.get(key) is not None:
            number = found[key]
            bare = isinstance(number, int | float) and not isinstance(number, bool) and unit not in ("", "1", "count")
            fields[key] = to_base(f"{number!r} {unit}" if bare else number, dimension)
    if ("low" in fields) != ("high" in fields):
        raise UnitError("a range has both low and high")
    if "value" not in fields:
        if "low" not in fields:
            raise UnitError("a value has a `value`, or `low` and `high`")
        if fields["low"] > fields["high"]:
            raise UnitError("low, value and high must stand in this order")
        fields["value"] = middle(fields["low"], fields["high"])
    return fields


def middle(low: float, high: float) -> float:
    """The median of a range drawn as worlds draw it: geometric where both ends are positive, else arithmetic."""
    return min(max(math.sqrt(low) * math.sqrt(high), low), high) if low > 0 else (low + high) / 2


def _latest_known(found: list[Any], as_of: date | None) -> Any:
    if not found:
        raise PydanticCustomError("mistake", "an empty list; expected a value, or claims of different dates")
    claims = [c if isinstance(c, dict) else {"value": c} for c in found]
    known = [c for c in claims if as_of is None or _day(c.get("known_since")) <= as_of]
    if not known:
        first = min(_day(c.get("known_since")) for c in claims)
        raise PydanticCustomError(
            "mistake", "not known on {as_of}; first known {first}", {"as_of": str(as_of), "first": str(first)}
        )
    return max(known, key=lambda c: _day(c.get("known_since")))


def _day(found: Any) -> date:
    if isinstance(found, date):
        return found
    try:
        return date.fromisoformat(found) if found else date.min
    except (TypeError, ValueError) as err:
        raise PydanticCustomError("mistake", "known_since is a day like 2026-05-06") from err


def _check_bounds(number: float | None, dimension: str, least: float | None, most: float | None) -> None:
    words = DIMENSIONS[dimension].words
    if number is None:
        return
    if least is not None and number < least:
        limit = "below zero" if least == 0 else f"less than {least:g}"
        raise PydanticCustomError("mistake", "{words} cannot be {limit} here", {"words": words, "limit": limit})
    if most is not None and number > most:
        found = {"words": words, "most": f"{most:g}"}
        raise PydanticCustomError("mistake", "{words} cannot be more than {most} here", found)


@dataclass(frozen=True)
class Measures:
    """The annotation that makes a field a `Value` of one dimension, within bounds given in base units."""

    dimension: str
    least: float | None = 0.0
    most: float | None = None

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        read = partial(read_value, dimension=self.dimension, least=self.least, most=self.most)
        return with_info_before_validator_function(read, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        want = DIMENSIONS[self.dimension]
        number = {"type": ["number", "string"]}
        claim = {key: {"type": "string"} for key in CLAIM_KEYS}
        mapping = {
            "type": "object",
            "properties": {"value": number, "low": number, "high": number, **claim},
            "additionalProperties": False,
        }
        example = f"1 {want.example}".strip()
        return {
            "description": f'{want.words}, such as "{example}"; base unit {want.unit or "1"}',
            "anyOf": [number, mapping, {"type": "array", "items": mapping}],
        }


Power = Annotated[Value, Measures("power")]
Energy = Annotated[Value, Measures("energy")]
Duration = Annotated[Value, Measures("duration")]
Months = Annotated[Value, Measures("months")]
Share = Annotated[Value, Measures("share", 0.0, 1.0)]
Ratio = Annotated[Value, Measures("number")]
Factor = Annotated[Value, Measures("number", 1.0, 10.0)]
Count = Annotated[Value, Measures("number", 1.0)]
Accelerators = Annotated[Value, Measures("accelerators")]
People = Annotated[Value, Measures("people")]
Tokens = Annotated[Value, Measures("tokens")]
TokensPerTime = Annotated[Value, Measures("token_rate")]
Money = Annotated[Value, Measures("money")]
MonthlyFee = Annotated[Value, Measures("monthly_fee")]
HourlyPrice = Annotated[Value, Measures("hourly_price")]
EnergyPrice = Annotated[Value, Measures("energy_price", None)]
CarbonIntensity = Annotated[Value, Measures("carbon_intensity")]
WaterIntensity = Annotated[Value, Measures("water_intensity")]
Mass = Annotated[Value, Measures("mass")]
Length = Annotated[Value, Measures("length")]
Bytes = Annotated[Value, Measures("bytes")]
ByteRate = Annotated[Value, Measures("byte_rate")]
Bandwidth = Annotated[Value, Measures("byte_rate", 1e7)]
FlopRate = Annotated[Value, Measures("flop_rate")]
EventRate = Annotated[Value, Measures("event_rate")]
YearlyShare = Annotated[Value, Measures("yearly_rate", 0.0, 0.99)]
YearlyRate = Annotated[Value, Measures("yearly_rate")]
Temperature = Annotated[Value, Measures("temperature")]
Speed = Annotated[Value, Measures("speed")]
SpecificPower = Annotated[Value, Measures("specific_power")]
SpecificEnergy = Annotated[Value, Measures("specific_energy")]
MassPerPower = Annotated[Value, Measures("mass_per_power")]
MassPerArea = Annotated[Value, Measures("mass_per_area")]
PricePerMass = Annotated[Value, Measures("price_per_mass")]
PricePerPower = Annotated[Value, Measures("price_per_power")]
YearlyPricePerPower = Annotated[Value, Measures("yearly_price_per_power")]
HoursPerWeek = Annotated[Value, Measures("hours_per_week", 0.0, 1.0)]


def _plain_seconds(found: Any) -> Any:
    if isinstance(found, int | float) and not isinstance(found, bool) and found == 0:
        return 0.0
    try:
        seconds = to_base(found, "duration")
    except UnitError as err:
        raise PydanticCustomError("mistake", "{message}", {"message": str(err)}) from err
    if seconds < 0:
        raise PydanticCustomError("mistake", "a duration cannot be below zero here")
    return seconds


def _plain_days(found: Any) -> Any:
    return _plain_seconds(found) / 86400


_TEXT_DURATION = WithJsonSchema({"type": "string", "description": 'a duration, such as "5 h" or "90 d"'})
PlainSeconds = Annotated[float, BeforeValidator(_plain_seconds), _TEXT_DURATION]
PlainDays = Annotated[float, BeforeValidator(_plain_days), _TEXT_DURATION]
