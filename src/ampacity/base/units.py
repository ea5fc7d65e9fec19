"""Human quantities to plain numbers, once, at the edge: "300 MW" is 3e8 watts from here on.

The definitions are our own: a month is a calendar month and converts to nothing else, a GPU and a token
are units, and money has one currency. Pint is imported by the first quantity that is text, not before.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import cache
from typing import Any

DEFINITIONS = """
kilo- = 1e3 = k-
mega- = 1e6 = M-
giga- = 1e9 = G-
tera- = 1e12 = T-
peta- = 1e15 = P-
exa- = 1e18 = E-
milli- = 1e-3 = m-
micro- = 1e-6 = u-
centi- = 1e-2 = c-

second = [time] = s = seconds
minute = 60 * second = min = minutes
hour = 3600 * second = h = hours
day = 86400 * second = d = days
week = 604800 * second = wk = weeks
month = [calendar_month] = mo = months
year = 12 * month = yr = years

meter = [length] = m
gram = [mass] = g
kelvin = [temperature] = K
tonne = 1e6 * gram = t = tonnes
pound = 453.59237 * gram = lb = pounds
short_ton = 907184.74 * gram = ston = short_tons
liter = 1e-3 * meter ** 3 = L = liters = litre = litres
gallon = 3.785411784e-3 * meter ** 3 = gal = gallons
joule = 1e3 * gram * meter ** 2 / second ** 2 = J
watt = joule / second = W
watt_hour = 3600 * joule = Wh
british_thermal_unit = 1055.05585262 * joule = Btu
million_british_thermal_units = 1e6 * british_thermal_unit = MMBtu

bit = [information] = bit = bits
byte = 8 * bit = B = bytes
flop = [computation] = FLOP = FLOPs
accelerator = [accelerator] = accelerator = accelerators = GPU = GPUs = gpu = TPU = TPUs = chip = chips
token = [token] = token = tokens
person = [person] = person = people = persons = developer = developers = subscriber = subscribers
dollar = [currency] = USD = dollars

percent = 0.01 = percent
radian = []  = rad
degree = 0.017453292519943295 * radian = deg = degrees
"""


@dataclass(frozen=True)
class Dimension:
    """What a number measures: its base unit, the words for it, and a unit people write it in."""

    name: str
    unit: str
    words: str
    example: str


DIMENSIONS = {
    d.name: d
    for d in (
        Dimension("power", "W", "a power", "MW"),
        Dimension("energy", "J", "an energy", "MWh"),
        Dimension("duration", "s", "a duration", "h"),
        Dimension("months", "month", "a number of calendar months", "months"),
        Dimension("share", "", "a share or ratio", "%"),
        Dimension("number", "", "a plain number", ""),
        Dimension("accelerators", "accelerator", "a number of accelerators", "GPU"),
        Dimension("people", "person", "a number of people", "people"),
        Dimension("tokens", "token", "a number of tokens", "Mtoken"),
        Dimension("token_rate", "token/s", "tokens per time", "token/h"),
        Dimension("money", "USD", "an amount of money", "USD"),
        Dimension("monthly_fee", "USD/month", "money per calendar month", "USD/month"),
        Dimension("hourly_price", "USD/s", "money per accelerator and hour", "USD/h"),
        Dimension("energy_price", "USD/J", "money per energy", "USD/MWh"),
        Dimension("token_price", "USD/token", "money per token", "USD/Mtoken"),
        Dimension("carbon_intensity", "g/J", "a mass per energy", "g/kWh"),
        Dimension("water_intensity", "m**3/J", "a volume per energy", "L/kWh"),
        Dimension("mass", "g", "a mass", "t"),
        Dimension("length", "m", "a length", "km"),
        Dimension("bytes", "byte", "an amount of memory", "GB"),
        Dimension("byte_rate", "byte/s", "bytes per time", "TB/s"),
        Dimension("flop_rate", "FLOP/s", "floating-point operations per time", "TFLOP/s"),
        Dimension("event_rate", "1/s", "events per time", "1/d"),
        Dimension("hours_per_week", "", "a share of the week", "h/week"),
        Dimension("yearly_rate", "1/year", "a share or number of events per calendar year", "percent/year"),
        Dimension("temperature", "K", "a temperature in kelvin", "K"),
        Dimension("speed", "m/s", "a speed", "m/s"),
        Dimension("specific_power", "W/kg", "a power per mass", "W/kg"),
        Dimension("specific_energy", "J/kg", "an energy per mass", "Wh/kg"),
        Dimension("mass_per_power", "kg/W", "a mass per power", "kg/kW"),
        Dimension("mass_per_area", "kg/m**2", "a mass per area", "kg/m**2"),
        Dimension("price_per_mass", "USD/kg", "money per mass", "USD/kg"),
        Dimension("price_per_power", "USD/W", "money per power", "USD/W"),
        Dimension("yearly_price_per_power", "USD/W/year", "money per power and calendar year", "USD/kW/year"),
    )
}


_NUMBER = r"[-+]?(?:(?:\d{1,3}(?:,\d{3})+(?!\d)|\d[\d_]*)\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|[-+]?(?:nan|inf)"
_QUANTITY = re.compile(rf"\s*({_NUMBER})\s*(.*?)\s*", re.IGNORECASE)
# Names, one-digit powers, products and quotients; numbers stay outside, so that no "W**9**9**9" is ever computed.
_TERM = r"\(*[A-Za-z_]+(?:(?:\*\*|\^)-?\d)?\)*"
_UNIT = re.compile(rf"(?:1\s*/\s*)?{_TERM}(?:(?:\s*[*/·]\s*|\s+){_TERM})*")


class UnitError(ValueError):
    """A quantity that cannot be read as what belongs there; the message says found and expected."""


def to_base(found: object, dimension: str) -> float:
    """The number in the base unit of `dimension`; a bare number is taken as already in it where that is unambiguous.

    Raises UnitError with a sentence that says what was found, what belongs there, and an example.
    """
    want = DIMENSIONS[dimension]
    if isinstance(found, bool) or found is None:
        raise UnitError(f"{_words(found)} where {want.words} belongs{_example(want, '1')}")
    if isinstance(found, int | float):
        number = _finite(found, want)
        if want.unit not in ("", "accelerator", "person", "token"):
            raise UnitError(f"a number without a unit where {want.words} belongs{_example(want, f'{number:g}')}")
        return number
    if not isinstance(found, str):
        raise UnitError(f"{_words(found)} where {want.words} belongs{_example(want, '1')}")
    return _finite(_parse(found, want), want)


def _parse(text: str, want: Dimension) -> float:
    """The text as a number in base units of `want`; only number-then-unit is read, nothing is evaluated."""
    match = _QUANTITY.fullmatch(text)
    if not match:
        raise UnitError(f"text that is no quantity where {want.words} belongs{_example(want, '1')}")
    number = float(match[1].replace(",", "").replace("_", ""))
    unit = re.sub(r"^([kMGTPE])\s+(?=[A-Za-z])", r"\1", match[2].replace("%", "percent"))
    if unit in ("k", "M", "G", "T"):  # "9.4 M" of something countable
        number, unit = number * {"k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}[unit], ""
    if not unit:
        return to_base(number, want.name)
    if re.match(r"(?!1\s*/)[\d.,_]", unit):
        raise UnitError(f'"{text.strip()[:40]}" is no number with a unit; decimals are "1.5", thousands "1,500"')
    unit = f"1{unit}" if unit.startswith("/") else unit
    if len(unit) > 40 or not _UNIT.fullmatch(unit):
        raise UnitError(f'"{unit[:40]}" is no unit; expected {want.words}{_example(want, match[1])}')
    registry = _registry()
    try:
        quantity = registry.Quantity(number, registry.parse_units(unit.replace("·", "*")))
    except Exception as err:
        raise UnitError(f'unknown unit "{unit}"; expected {want.words}{_example(want, match[1])}') from err
    try:
        return float(quantity.to(registry.parse_units(want.unit)).magnitude)
    except Exception as err:
        found_words = _dimension_words(quantity)
        raise UnitError(f"{found_words} where {want.words} belongs{_example(want, match[1])}") from err


def convert(number: float, unit: str, dimension: str) -> float:
    """A number with its unit kept apart, as tables have it, in the base unit of `dimension`."""
    return to_base(number if unit in ("", "1", "count") else f"{number!r} {unit}", dimension)


def _finite(found: float, want: Dimension) -> float:
    try:
        number = float(found)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise UnitError(f"{number} is not a number that {want.words} can have")
    return number


def _example(want: Dimension, number: str) -> str:
    if not want.example:
        return ""
    return f'; did you mean "{number} {want.example}"?'.replace(" 1/", "/")


def _words(found: object) -> str:
    names = {bool: "a yes/no", dict: "a mapping", list: "a list", type(None): "nothing"}
    return names.get(type(found), f"a {type(found).__name__}")


def _dimension_words(quantity: Any) -> str:
    registry = _registry()
    for candidate in DIMENSIONS.values():
        if candidate.unit and quantity.check(registry.parse_units(candidate.unit).dimensionality):
            return candidate.words
    return f'a quantity in "{quantity.units}"' if not quantity.dimensionless else "a plain number"


@cache
def _registry() -> Any:
    """Our own unit registry; the import is late because it costs a quarter of a second."""
    import pint

    registry: Any = pint.UnitRegistry(None)
    registry.load_definitions([line for line in DEFINITIONS.splitlines() if line.strip()])
    return registry
