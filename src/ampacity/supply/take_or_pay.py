"""Take-or-pay: the fee is due on what is used, but never on less than a floor of what is there."""

from __future__ import annotations

import numpy as np

from ampacity.supply.ramp import Array


def take_or_pay(fee_usd: Array, used_share: Array, floor: float) -> tuple[Array, Array]:
    """A fee split into what use makes due and what the floor adds: together fee x max(floor, used share). [USD]

    fee_usd: of everything that is there. used_share: of what is there [0 to 1]. floor: share due in any case [0 to 1].
    """
    used = np.clip(used_share, 0.0, 1.0)
    return fee_usd * used, fee_usd * np.maximum(floor - used, 0.0)
