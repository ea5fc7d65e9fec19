"""An accelerator: what one chip can do, draws and costs."""

from __future__ import annotations

from pydantic import Field, field_validator
from pydantic_core import PydanticCustomError

from ampacity.scenario.value import (
    ByteRate,
    Bytes,
    FlopRate,
    HourlyPrice,
    Money,
    Noun,
    Power,
    Ratio,
    Value,
)

PRECISIONS = ("bf16", "fp8", "fp4")
"""Of products, the finest first."""


class Accelerator(Noun):
    """One chip. Rates are dense peaks; a figure that nobody has published is absent, never guessed.

    bf16_flops, fp8_flops, fp4_flops: dense peak by precision. [FLOP/s]
    hbm_bytes, hbm_bytes_per_s: memory size and bandwidth. [B], [B/s]
    tdp_w: limit of the chip alone. server_w, it_w, facility_w: power per chip on the three bases. [W]
    chip_price_usd: purchase. rental_*_usd_per_s, own_*: price of one chip for one second on a named basis. [USD/s]
    scaleup_bytes_per_s: link one way [B/s]; scaleup_world: chips that it joins; scaleout_bytes_per_s: per chip [B/s].
    speed: how much faster it serves than the serving model predicts; its range is that prediction's error. [> 0]
    """

    name: str
    vendor: str = ""
    system: str = ""
    availability: str = ""
    bf16_flops: FlopRate | None = Field(None, alias="bf16_dense")
    fp8_flops: FlopRate | None = Field(None, alias="fp8_dense")
    fp4_flops: FlopRate | None = Field(None, alias="fp4_dense")
    hbm_bytes: Bytes | None = Field(None, alias="hbm_size")
    hbm_bytes_per_s: ByteRate | None = Field(None, alias="hbm_bandwidth")
    tdp_w: Power | None = Field(None, alias="tdp")
    server_w: Power | None = Field(None, alias="server_power")
    it_w: Power | None = Field(None, alias="it_power")
    facility_w: Power | None = Field(None, alias="facility_power")
    chip_price_usd: Money | None = Field(None, alias="chip_price")
    own_hyperscaler_usd_per_s: HourlyPrice | None = Field(None, alias="own_hyperscaler_price")
    own_neocloud_usd_per_s: HourlyPrice | None = Field(None, alias="own_neocloud_price")
    rental_3yr_usd_per_s: HourlyPrice | None = Field(None, alias="rental_3yr_price")
    rental_1yr_usd_per_s: HourlyPrice | None = Field(None, alias="rental_1yr_price")
    scaleup_bytes_per_s: ByteRate | None = Field(None, alias="scaleup_bandwidth")
    scaleup_world: Ratio | None = None
    scaleout_bytes_per_s: ByteRate | None = Field(None, alias="scaleout_bandwidth")
    speed: Ratio = Value(value=1.0)

    @field_validator(
        "bf16_flops",
        "fp8_flops",
        "fp4_flops",
        "hbm_bytes",
        "hbm_bytes_per_s",
        "scaleup_bytes_per_s",
        "scaleout_bytes_per_s",
        "speed",
    )
    @classmethod
    def _works(cls, found: Value | None) -> Value | None:
        if found is not None and min(found.value, found.value if found.low is None else found.low) <= 0:
            raise PydanticCustomError(
                "mistake", "more than zero, or no iteration would end; leave out what is not known"
            )
        return found

    def flops(self, precision: str) -> Value | None:
        """Dense peak at a precision, or None where it is not known. [FLOP/s]"""
        # int4 is for weights alone: products run at 16 bits
        found: Value | None = getattr(self, f"{'bf16' if precision == 'int4' else precision}_flops")
        return found
