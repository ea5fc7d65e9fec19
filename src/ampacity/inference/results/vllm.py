"""Results of `vllm bench serve --save-result` (vLLM 0.6 to 0.33): one JSON object, or several with --append-result."""

from __future__ import annotations

from ampacity.inference.results.measurement import Raw, narrowest, per


def is_vllm(row: dict[str, object]) -> bool:
    """Whether a JSON object has this tool's keys."""
    return "mean_ttft_ms" in row and ("model_id" in row or "total_token_throughput" in row)


def vllm(row: dict[str, object]) -> Raw:
    """A run. Lengths are known if it was saved with --save-detailed."""
    raw = Raw(
        isl=per(row, "total_input_tokens", "completed"),
        osl=per(row, "total_output_tokens", "completed"),
        concurrency=("max_concurrency", row["max_concurrency"]) if row.get("max_concurrency") else None,
        requests=("completed", row.get("completed")),
        ttft_ms=("mean_ttft_ms", row.get("mean_ttft_ms")),
        tpot_ms=("mean_tpot_ms", row.get("mean_tpot_ms")),
        tokens_per_s=("output_throughput", row.get("output_throughput")),
    )
    if row.get("request_rate", "inf") not in ("inf", None):
        raw.concurrency = None
        raw.requests_per_s = ("request_throughput", row.get("request_throughput"))
    elif raw.concurrency is None:
        # without a bound all requests are sent at once
        raw.concurrency = raw.requests
    if (shortest := narrowest(row.get("output_lens"))) is not None:
        raw.shortest = ("output_lens", shortest)
    accepted = row.get("spec_decode_acceptance_length")
    if accepted:
        why = "tokens come several at a time; speculative decoding is an input of its own, measure without it"
        raw.unusable.append(("spec_decode_acceptance_length", str(accepted), why))
    return raw
