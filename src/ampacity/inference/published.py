"""The measured serving points that the package `aiconfigurator-core` ships, as rows that the fit and its tests read.

The package (Apache-2.0, NVIDIA) is needed for fitting alone. Its `silicon_sample.csv` holds time to first token and
per output token of vLLM, SGLang and TensorRT-LLM on five NVIDIA systems. What is left out, and why, is fixed here.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import polars as pl

from ampacity.inference.layout import Layout

PACKAGE, VERSION = "aiconfigurator-core", "0.12.0"
SOURCE = f"{PACKAGE} {VERSION} systems/silicon_sample.csv (Apache-2.0)"
MODELS = {
    "MiniMaxAI/MiniMax-M2.5": "minimax-m2.5",
    "deepseek-ai/DeepSeek-R1": "deepseek-r1",
    # DeepSeek-V3 has the shape of R1, and most of its rows are R1's measurements under another name
    "deepseek-ai/DeepSeek-V3": "deepseek-r1",
    "nvidia/DeepSeek-R1-NVFP4": "deepseek-r1",
    "nvidia/DeepSeek-V3.1-NVFP4": "deepseek-r1",
    "meta-llama/Llama-3.1-70B": "llama-3.1-70b",
    "meta-llama/Llama-3.1-8B-Instruct": "llama-3.1-8b",
    "nvidia/Llama-3.1-8B-Instruct-FP8": "llama-3.1-8b",
    "openai/gpt-oss-120b": "gpt-oss-120b",
    "Qwen/Qwen3-32B": "qwen3-32b",
    "nvidia/Qwen3-32B-NVFP4": "qwen3-32b",
    "Qwen/Qwen3.5-397B-A17B": "qwen3.5-397b-a17b",
    "Qwen/Qwen3-235B-A22B-FP8": "qwen3-235b-a22b",
    "moonshotai/Kimi-K2.5": "kimi-k2.5",
    "zhipuai/GLM-5": "glm-5",
}
ACCELERATORS = {
    "h100_sxm": "h100-sxm",
    "h200_sxm": "h200-sxm",
    "b200_sxm": "b200-sxm",
    "b300_sxm": "b300-sxm",
    "gb200": "gb200-nvl72",
    "gb300": "gb300-nvl72",
}
PRECISIONS = {"fp8": "fp8", "fp8_block": "fp8", "nvfp4": "fp4", "int4_wo": "int4"}


@dataclass(frozen=True)
class Point:
    """One measurement.

    steady: its requests had the lengths and the warm-up of a steady load; otherwise all came at once at the start.
    month: of the measurement, `2026-04`; empty if not stated. ttft_s, tpot_s: measured [s].
    """

    model: str
    accelerator: str
    engine: str
    version: str
    month: str
    precision: str
    layout: Layout
    input_tokens: int
    output_tokens: int
    concurrency: int
    steady: bool
    ttft_s: float
    tpot_s: float

    @property
    def group(self) -> str:
        """Model, accelerator, engine, precision and layout: what is left out together."""
        return "|".join((self.model, self.accelerator, self.engine, self.precision, str(self.layout)))


def installed() -> bool:
    """Whether the package with the points is there."""
    return find_spec("aiconfigurator_core") is not None


@cache
def points() -> tuple[Point, ...]:
    """The points that the fit uses. Raises ModuleNotFoundError without the package."""
    rows = deduplicated(kept(_numbered(raw())))
    return tuple(_point(row) for row in rows.iter_rows(named=True))


def raw() -> pl.DataFrame:
    """The file as it is shipped. Raises ModuleNotFoundError without the package."""
    found = find_spec("aiconfigurator_core")
    if found is None or found.origin is None:
        raise ModuleNotFoundError(
            f"the measured points come with {PACKAGE} {VERSION}: pip install 'ampacity[calibrate]'",
            name="aiconfigurator_core",
        )
    return pl.read_csv(Path(found.origin).parent / "systems" / "silicon_sample.csv", infer_schema_length=None)


def _numbered(rows: pl.DataFrame) -> pl.DataFrame:
    """Text of the source taken apart, and layouts as degrees of parallelism.

    A later export of the same runs writes tensor x expert degrees as tensor_size and repeats it for both kinds of
    experts (8 chips appear as 64, 8 x 8): of 84 such pairs TTFT and TPOT agree to four digits with the earlier export.
    The same is true of vLLM rows whose data and tensor sizes are both the chips of the node.
    """
    text = pl.col("silicon_data_source")
    one = {c: pl.col(c).fill_null(1).clip(1) for c in ("attention_dp_size", "moe_tp_size", "moe_ep_size")}
    tp, dp, moe_tp, moe_ep = pl.col("tp_size"), one["attention_dp_size"], one["moe_tp_size"], one["moe_ep_size"]
    squared = (moe_tp == moe_ep) & (moe_tp > 1) & (tp * dp == moe_tp * moe_ep)
    twice = (tp == dp) & (tp > 1)
    chips = pl.when(squared).then(moe_tp).when(twice).then(tp).otherwise(tp * dp)
    return rows.with_columns(
        concurrency=text.str.extract(r"silicon_concurrency=(\d+)").cast(pl.Int64),
        month=text.str.extract(r"measured=(\d+-\d+)"),
        steady=text.str.contains("aic-auto-gap-analysis"),
        chips=chips,
        data=pl.when(dp > 1).then(chips.floordiv(pl.when(squared | twice).then(1).otherwise(tp))).otherwise(1),
        expert=pl.when(squared | twice).then(chips).otherwise(moe_ep),
        precision=pl.col("gemm_quant_mode").replace_strict(PRECISIONS, default="bf16"),
        model=pl.col("model_path").replace_strict(MODELS),
        accelerator=pl.col("system").replace_strict(ACCELERATORS),
    )


def kept(rows: pl.DataFrame) -> pl.DataFrame:
    """Rows whose conditions are known.

    Left out: disaggregated runs; runs without a stated concurrency, or with one that is neither the batch nor the batch
    times the data parallel size; GB200 runs over 12 to 72 chips, which are mislabelled disaggregated ones; runs whose
    requests waited longer for their first token than they decoded: there the engine ran fewer sequences than it was
    asked to, and the row does not say how many.
    """
    ratio = pl.col("concurrency") / pl.col("batch_size")
    return rows.filter(
        pl.col("mode") == "agg",
        pl.col("concurrency").is_not_null(),
        (ratio == 1) | (ratio == pl.col("attention_dp_size")),
        ~((pl.col("system") == "gb200") & (pl.col("tp_size") >= 12)),
        pl.col("silicon_ttft_ms") < pl.col("osl") * pl.col("silicon_tpot_ms"),
    )


def deduplicated(rows: pl.DataFrame) -> pl.DataFrame:
    """One row a measurement: equal load on an equal system with TTFT and TPOT equal to four digits is one run."""
    same = ["system", "backend", "isl", "osl", "concurrency", "ttft_4", "tpot_4"]
    return (
        rows.with_columns(
            ttft_4=pl.col("silicon_ttft_ms").round_sig_figs(4), tpot_4=pl.col("silicon_tpot_ms").round_sig_figs(4)
        )
        .sort("backend_version", "month", nulls_last=True, maintain_order=True)
        .unique(subset=same, keep="first", maintain_order=True)
    )


def _point(row: dict[str, object]) -> Point:
    def number(key: str) -> int:
        value = row[key]
        assert isinstance(value, int)
        return value

    chips, data = number("chips"), number("data")
    expert = number("expert") if row["model"] not in ("llama-3.1-70b", "llama-3.1-8b", "qwen3-32b") else 1
    ttft, tpot = row["silicon_ttft_ms"], row["silicon_tpot_ms"]
    assert isinstance(ttft, float) and isinstance(tpot, float)
    return Point(
        model=str(row["model"]),
        accelerator=str(row["accelerator"]),
        engine=str(row["backend"]),
        version=_version(row["backend_version"], row["month"]),
        month=str(row["month"] or ""),
        precision=str(row["precision"]),
        layout=Layout(chips // data, data, 1, expert),
        input_tokens=number("isl"),
        output_tokens=number("osl"),
        concurrency=number("concurrency"),
        steady=bool(row["steady"]),
        ttft_s=ttft / 1e3,
        tpot_s=tpot / 1e3,
    )


def _version(version: object, month: object) -> str:
    """Release of the engine without its suffix; the month of the run where none is stated."""
    if not version:
        return str(month or "not stated")
    parts = str(version).split(".")
    release = [p for p in parts[:3] if p.isdigit()]
    third = "".join(c for i, c in enumerate(parts[2]) if parts[2][: i + 1].isdigit()) if len(parts) > 2 else ""
    return ".".join([*parts[:2], third]) if len(release) >= 2 and third else str(version)
