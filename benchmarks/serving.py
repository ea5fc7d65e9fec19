"""How long the search for a layout takes, one case and a whole table, and the same case by AIConfigurator's engine."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

from ampacity.inference.best_layout import Slo, best_layout, choose
from ampacity.inference.survey import survey
from ampacity.scenario import lookup
from ampacity.scenario.accelerator import Accelerator
from ampacity.scenario.mistakes import Mistakes
from ampacity.scenario.model import Model
from measure import cpu_s, publish

CASE = ("qwen3-32b", "h200-sxm")
SLOS = (Slo(2.0, 0.05), Slo(5.0, 0.1), Slo(1.0, 0.025))
MODELS = 20

# The same question in the same form: tensor parallel degrees of a node, and batches up to 512 requests; the largest
# output per chip within TTFT 2 s and TPOT 50 ms. A step's time comes from the package's tables of measured kernels.
PEER = """
import json, time
from importlib.metadata import version
from aiconfigurator_core.sdk.engine import EngineHandle

def search(engines):
    best = None
    for chips, e in engines.items():
        for b in (1, 2, 4, 8, 16, 32, 48, 64, 96, 128, 160, 192, 224, 256, 320, 384, 448, 512):
            prompts = b / 1024
            decode = e.decode_step_latency(b, 1024, 512)
            mixed = e.mixed_step_latency(1024, b, 1024, 1024, 0)
            tpot = decode + min(prompts, 1.0) * max(mixed - decode, 0.0)
            first = e.predict_prefill_latency(1, 1024, 0)
            rate = b * 1024 / (first + 1023 * tpot) * 1e3 / chips
            if tpot <= 50 and first + tpot <= 2000 and (best is None or rate > best[0]):
                best = (rate, chips, b, tpot)
    return best

began = time.process_time()
engines = {n: EngineHandle.compile("Qwen/Qwen3-32B-FP8", "h200_sxm", "vllm", tp_size=n) for n in (1, 2, 4, 8)}
compiled = time.process_time() - began
found = search(engines)
times = []
for _ in range(3):
    began = time.process_time()
    search(engines)
    times.append(time.process_time() - began)
print(json.dumps({"compile": compiled, "search": min(times), "best": found, "version": version("aiconfigurator-core")}))
"""


def arguments() -> argparse.Namespace:
    """--smoke, --json, and the interpreter of an environment with aiconfigurator-core."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--smoke", action="store_true", help="a short run that shows that the script works")
    parser.add_argument("--json", type=Path, help="write the figures there too")
    parser.add_argument("--peer-python", help="Python of an environment with aiconfigurator-core; absent: ours only")
    return parser.parse_args()


def model(name: str) -> Model:
    """A model of the catalog."""
    return Model.model_validate({"name": name, **lookup.model(name)})


def chip(name: str) -> Accelerator:
    """An accelerator of the catalog."""
    return Accelerator.model_validate({"name": name, **lookup.accelerator(name)})


def table(models: list[Model], chips: list[Accelerator]) -> tuple[int, int]:
    """The best layout of every model on every chip at every service level: how many there are, and how many not."""
    found, none = 0, 0
    for m in models:
        for c in chips:
            try:
                s = survey(m, c)
            except Mistakes:
                none += len(SLOS)
                continue
            for slo in SLOS:
                try:
                    choose(s, slo)
                    found += 1
                except Mistakes:
                    none += 1
    return found, none


def main() -> None:
    """Measure and print."""
    options = arguments()
    m, c = model(CASE[0]), chip(CASE[1])
    chosen = best_layout(m, c, SLOS[0], precision="fp8")
    names = list(lookup.model_names())[: 2 if options.smoke else MODELS]
    models, chips = [model(name) for name in names], [chip(name) for name in lookup.accelerator_names()]
    counts = table(models, chips)
    figures: dict[str, object] = {
        f"best layout of {CASE[0]} on {CASE[1]}, warm, CPU s": cpu_s(
            lambda: [best_layout(m, c, SLOS[0], precision="fp8") for _ in range(20)], 3
        )
        / 20,
        "largest case (deepseek-r1 on gb200-nvl72), warm, CPU s": cpu_s(
            lambda: best_layout(model("deepseek-r1"), chip("gb200-nvl72"), SLOS[0]), 3
        ),
        f"table of {len(models)} models x {len(chips)} accelerators x {len(SLOS)} SLOs, CPU s": cpu_s(
            lambda: table(models, chips), 1 if options.smoke else 3
        ),
        "cases of it with a layout, and without": f"{counts[0]}, {counts[1]}",
        "ours": chosen.words[0],
    }
    if options.peer_python and not options.smoke:
        done = subprocess.run([options.peer_python, "-c", PEER], capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"the peer failed: {done.stderr.strip().splitlines()[-1]}")
        peer = json.loads(done.stdout.strip().splitlines()[-1])
        rate, tensor, batch, tpot = peer["best"]
        figures |= {
            f"aiconfigurator-core {peer['version']}, the same case, 4 layouts, warm, CPU s": peer["search"],
            "its engines, compiled once, CPU s": peer["compile"],
            "its best": f"TP{tensor} with {batch} in flight, {rate:,.0f} tokens/s per chip, TPOT {tpot:.3g} ms",
            "ratio of the searches": peer["search"] / next(iter(figures.values())),
        }
    publish("serving: the search for a layout", figures, options.json)


if __name__ == "__main__":
    main()
