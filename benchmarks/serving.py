"""How long the search for a layout takes, one case and a whole table, and the same case by AIConfigurator."""

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
from ampacity.scenario.catalog_nouns import catalog_accelerator, catalog_model
from ampacity.scenario.mistakes import Mistakes
from ampacity.scenario.model import Model
from measure import cpu_s, publish

CASE = ("qwen3-32b", "h200-sxm")
SLOS = (Slo(2.0, 0.05), Slo(5.0, 0.1), Slo(1.0, 0.025))
MODELS = 20

# The same question asked of the peer's own search: 8 chips, 1,024 tokens in and out, TTFT 2 s, TPOT 50 ms.
PEER = """
import json, time
from importlib.metadata import version
from aiconfigurator.cli.api import cli_default

def search():
    return cli_default(
        model_path="Qwen/Qwen3-32B-FP8", total_gpus=8, system="h200_sxm", backend="vllm", isl=1024, osl=1024,
        ttft=2000, tpot=50,
    )

times = []
for _ in range(3):
    began = time.process_time()
    found = search()
    times.append(time.process_time() - began)
best = found.best_configs["agg"].iloc[0]
words = f"TP{best['tp']} with {best['bs']} in flight, {best['tokens/s/gpu']:,.0f} tokens/s per chip"
print("RESULT" + json.dumps({
    "first": times[0], "warm": min(times[1:]), "version": version("aiconfigurator"),
    "best": f"{words}, TPOT {best['tpot']:.3g} ms (vLLM {best['version']})",
}))
"""


def arguments() -> argparse.Namespace:
    """--smoke, --json, and the interpreter of an environment with aiconfigurator."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--smoke", action="store_true", help="a short run that shows that the script works")
    parser.add_argument("--json", type=Path, help="write the figures there too")
    parser.add_argument("--peer-python", help="Python of an environment with aiconfigurator; absent: ours only")
    return parser.parse_args()


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
    m, c = catalog_model(CASE[0]), catalog_accelerator(CASE[1])
    chosen = best_layout(m, c, SLOS[0], precision="fp8")
    names = list(lookup.model_names())[: 2 if options.smoke else MODELS]
    models = [catalog_model(name) for name in names]
    chips = [catalog_accelerator(name) for name in lookup.accelerator_names()]
    counts = table(models, chips)
    warm = cpu_s(lambda: [best_layout(m, c, SLOS[0], precision="fp8") for _ in range(20)], 3) / 20
    figures: dict[str, object] = {
        f"best layout of {CASE[0]} on {CASE[1]}, warm, CPU s": warm,
        "largest case (deepseek-r1 on gb200-nvl72), warm, CPU s": cpu_s(
            lambda: best_layout(catalog_model("deepseek-r1"), catalog_accelerator("gb200-nvl72"), SLOS[0]), 3
        ),
        f"table of {len(models)} models x {len(chips)} accelerators x {len(SLOS)} SLOs, CPU s": cpu_s(
            lambda: table(models, chips), 1 if options.smoke else 3
        ),
        "cases of it with a layout, and without": f"{counts[0]}, {counts[1]}",
        "our best": chosen.words[0],
    }
    if options.peer_python and not options.smoke:
        done = subprocess.run([options.peer_python, "-c", PEER], capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"the peer failed: {done.stderr.strip().splitlines()[-1]}")
        peer = json.loads(done.stdout.split("RESULT")[-1])
        figures |= {
            f"aiconfigurator {peer['version']}, the same case, warm, CPU s": peer["warm"],
            "its first search in a process, CPU s": peer["first"],
            "its best": peer["best"],
            "ratio of the warm searches": peer["warm"] / warm,
        }
    publish("serving: the search for a layout", figures, options.json)


if __name__ == "__main__":
    main()
