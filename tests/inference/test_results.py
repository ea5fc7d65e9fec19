"""Results of every tool say the same of the same load: the samples are one load, written as each tool writes it.

The keys are those of vLLM 0.33 (vllm/benchmarks/serve.py), SGLang 0.5.23 (sglang/benchmark/serving.py), GuideLLM 0.8.1
(report schema 2), AIPerf 0.13 (export schema 1.4) and GenAI-Perf 0.0.16. The numbers are made up.
"""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from ampacity.inference.results.measurement import Measurement
from ampacity.inference.results.read import read_results
from ampacity.scenario.mistakes import Mistakes

SAMPLES = Path(__file__).parent / "results"


def read(name: str) -> list[Measurement]:
    return list(read_results([SAMPLES / name]).measurements)


@pytest.mark.parametrize(
    "name",
    [
        "vllm-0.33.json",
        "sglang-0.5.23.jsonl",
        "guidellm-0.8.1.json",
        "aiperf-0.13.json",
        "genai-perf-0.0.16.json",
        "own.csv",
    ],
)
def test_every_tool_says_the_same_of_the_same_load(name: str) -> None:
    first = read(name)[0]
    assert (first.input_tokens, first.output_tokens) == (1000, 500)
    assert first.concurrency == 16
    assert first.requests == 160
    assert first.ttft_s == pytest.approx(0.4125)
    assert first.tpot_s == pytest.approx(0.01725)
    assert first.tokens_per_s == pytest.approx(876.1)
    assert first.cached_tokens == 0


def test_requests_at_a_rate_are_as_many_in_flight_as_littles_law_says() -> None:
    of_vllm = read("vllm-0.33-append-detailed.json")[1]
    # 1.7522 requests a second, each there for 0.4125 s + 499 x 0.01725 s = 9.02 s
    assert of_vllm.concurrency == round(1.7522 * 9.02025)
    ((at_a_rate, _),) = read_results([SAMPLES / "guidellm-0.8.1.json"]).repeated
    assert (at_a_rate.line, at_a_rate.concurrency) == (2, 16)  # its own mean is 15.6


def test_lengths_of_single_requests_tell_how_much_they_vary() -> None:
    plain, detailed = read("vllm-0.33-append-detailed.json")
    assert plain.shortest == 0.8  # as the published points, for want of better
    assert detailed.shortest == pytest.approx(400 / 600)
    assert read("sglang-0.5.23.jsonl")[0].shortest == 1.0
    assert read("guidellm-0.8.1.json")[0].shortest == pytest.approx(400 / 500)
    assert read("aiperf-0.13.json")[0].shortest == pytest.approx(400 / 500)


def test_what_the_prefix_cache_held_is_not_prefilled() -> None:
    assert read("sglang-0.5.23.jsonl")[1].cached_tokens == 250


def test_guidellms_time_per_output_token_is_not_ours() -> None:
    """It has the wait for the first token in it: (412.5 ms + 499 x 17.25 ms) / 500 = 18.04 ms."""
    report = json.loads((SAMPLES / "guidellm-0.8.1.json").read_text())
    theirs = report["benchmarks"][0]["metrics"]["time_per_output_token_ms"]["successful"]["mean"]
    own = read("guidellm-0.8.1.json")[0]
    assert own.ttft_s is not None and own.tpot_s is not None
    assert 1e3 * (own.ttft_s + 499 * own.tpot_s) / 500 == pytest.approx(theirs, rel=1e-3)
    assert own.tpot_s * 1e3 < theirs


def test_speculative_decoding_is_left_out_and_said_so() -> None:
    found = read_results([SAMPLES / "sglang-0.5.23.jsonl"])
    assert found.rows == 3
    (mistake,) = found.left_out
    assert (mistake.line, mistake.key, mistake.found) == (3, "accept_length", "2.4")
    assert "speculative" in mistake.message


def test_units_of_an_export_are_read_not_assumed(tmp_path: Path) -> None:
    row = json.loads((SAMPLES / "aiperf-0.13.json").read_text())
    row["time_to_first_token"] = {"unit": "s", "avg": 0.4125}
    (tmp_path / "a.json").write_text(json.dumps(row))
    assert read_results([tmp_path / "a.json"]).measurements[0].ttft_s == pytest.approx(0.4125)


def test_a_run_that_was_cut_off_is_left_out(tmp_path: Path) -> None:
    row = json.loads((SAMPLES / "aiperf-0.13.json").read_text()) | {"was_cancelled": True}
    (tmp_path / "a.json").write_text(json.dumps(row))
    assert "cut off" in read_results([tmp_path / "a.json"]).left_out[0].message


def test_a_csv_needs_one_measured_column_and_takes_any_order(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("\ufeffTPOT_ms, concurrency ,isl,osl\n\n20,4,1e3,100\n", encoding="utf-8")
    (one,) = read_results([tmp_path / "a.csv"]).measurements
    assert (one.line, one.concurrency, one.input_tokens, one.tpot_s) == (3, 4, 1000, pytest.approx(0.02))
    assert one.ttft_s is one.tokens_per_s is None


@pytest.mark.parametrize(
    ("row", "key", "words"),
    [
        ("1000,,4,20", "osl", "missing"),
        ("1000,1,4,20", "osl", "at least 2"),
        ("-5,100,4,20", "isl", "at least 1"),
        ("1000,100,0,20", "concurrency", "1 to 100,000"),
        ("1000,100,4,nan", "tpot_ms", "above 0"),
        ("1000,100,4,inf", "tpot_ms", "above 0"),
        ("1000,100,4,0", "tpot_ms", "above 0"),
        ("1000,100,4,20ms", "tpot_ms", "above 0"),
        ("1000,100,4,", "row", "one of the three is needed"),
        ("1000,100,4", "row", "4 columns"),
    ],
)
def test_a_row_that_is_wrong_is_counted_and_named(tmp_path: Path, row: str, key: str, words: str) -> None:
    (tmp_path / "a.csv").write_text(f"isl,osl,concurrency,tpot_ms\n1000,100,4,20\n{row}\n")
    found = read_results([tmp_path / "a.csv"])
    assert len(found.measurements) == 1 and found.rows == 2
    assert found.left_out_rows == {("a.csv", 3)}
    assert any(m.key == key and words in m.message for m in found.left_out)


@pytest.mark.parametrize(
    ("content", "key", "found", "words"),
    [
        ("isl,osl,concurrency,tpot_ms\n\n", "rows", "", "none; expected one for each load"),
        ('{"benchmarks": []}', "rows", "", "none; expected one for each load"),
        ("hello world\n1\n", "columns", "hello world", "expected isl, osl, concurrency and at least one of throughput"),
        ("in,out,n,rate\n1,2,3,4\n", "columns", "in, out, n, rate", "no column of a table of results"),
        ("isl;osl\n1;2\n", "separator", ";", "apart by commas"),
        ("isl\tosl\n1\t2\n", "separator", "tab", "apart by commas"),
    ],
)
def test_a_file_without_results_is_one_mistake(tmp_path: Path, content: str, key: str, found: str, words: str) -> None:
    (tmp_path / "a.csv").write_text(content)
    with pytest.raises(Mistakes) as told:
        read_results([tmp_path / "a.csv"])
    (mistake,) = told.value.mistakes
    assert (mistake.file, mistake.key, mistake.found) == ("a.csv", key, found)
    assert words in mistake.message


def test_a_folder_is_said_to_be_one(tmp_path: Path) -> None:
    (tmp_path / "results").mkdir()
    with pytest.raises(Mistakes, match="a folder; expected a result of vllm bench serve"):
        read_results([tmp_path / "results"])


def test_a_row_of_no_known_tool_misses_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"speed": 3}')
    (mistake,) = read_results([tmp_path / "a.json"]).left_out
    assert (mistake.key, mistake.found) == ("row", "speed")
    assert "keys of no known tool" in mistake.message


def test_every_file_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("isl,osl,concurency,tpot\n1,2,3,4\n")
    (tmp_path / "b.json").write_text('{"mean_ttft_ms": 1')
    with pytest.raises(Mistakes) as told:
        read_results([tmp_path / "a.csv", tmp_path / "b.json", tmp_path / "c.json"])
    text = told.value.as_text()
    assert 'unknown column; the nearest is "concurrency"' in text
    assert 'unknown column; the nearest is "tpot_ms"' in text
    assert "not readable as JSON" in text
    assert "No such file" in text


def test_damaged_samples_end_in_measurements_or_mistakes_never_in_a_traceback(tmp_path: Path) -> None:
    draw = random.Random(4)
    path = tmp_path / "damaged"
    told = 0
    for sample in sorted(SAMPLES.iterdir()):
        whole = sample.read_bytes()
        for _ in range(40):
            data = bytearray(whole)
            for _ in range(draw.randint(1, 4)):
                at = draw.randrange(len(data))
                data[at : at + draw.randint(0, 60)] = draw.randbytes(draw.randint(0, 3))
            path.write_bytes(bytes(data))
            try:
                found = read_results([path])
            except Mistakes:
                told += 1
                continue
            assert len(found.measurements) + len(found.repeated) + len(found.left_out_rows) == found.rows
            told += bool(found.left_out)
    assert told > 100
