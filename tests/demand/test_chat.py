"""The chat tier: packaged length tables, reuse as a parameter, arrivals."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from ampacity.demand.chat import chat_arrivals, chat_law, chat_lengths
from ampacity.demand.goodness import distance

CONV = "demand/azure2023/AzureLLMInferenceTrace_conv.csv"


@pytest.mark.parametrize(("field", "column"), [("input_tokens", "ContextTokens"), ("output_tokens", "GeneratedTokens")])
def test_the_packaged_tables_are_those_of_the_trace(field: str, column: str, shared: Callable[[str], Path]) -> None:
    real = pl.read_csv(shared(CONV))[column].to_numpy().astype(float)
    ours = chat_lengths(field).astype(float)
    assert distance(ours, real) < 0.01
    assert ours.mean() == pytest.approx(real.mean(), rel=0.005)


def test_tables_have_the_published_means_and_rise() -> None:
    assert chat_lengths("input_tokens").mean() == pytest.approx(1155, rel=0.01)
    assert chat_lengths("output_tokens").mean() == pytest.approx(211, rel=0.01)
    assert (np.diff(chat_lengths("input_tokens")) >= 0).all()


def test_the_cache_holds_the_share_that_was_asked_for() -> None:
    for share in (0.0, 0.374, 1.0):
        law = chat_law(share)
        assert law.cached_tokens.sum() / law.input_tokens.sum() == pytest.approx(share, abs=0.001)
    with pytest.raises(ValueError, match=r"reuse_share is 1\.2"):
        chat_law(1.2)


def test_input_and_output_are_independent() -> None:
    law = chat_law()
    assert abs(np.corrcoef(law.input_tokens, law.output_tokens)[0, 1]) < 5 / np.sqrt(len(law.input_tokens))


def test_chats_arrive_at_their_rate_a_little_burstier_than_poisson() -> None:
    t = chat_arrivals(1, np.full(60, 5.53))
    assert len(t) == pytest.approx(5.53 * 36_000, rel=0.02)
    gaps = np.diff(t)
    assert gaps.std() / gaps.mean() == pytest.approx(1.09, abs=0.02)


def test_a_field_that_is_not_packaged_is_not_known() -> None:
    with pytest.raises(KeyError):
        chat_lengths("images")
