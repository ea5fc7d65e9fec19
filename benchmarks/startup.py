"""How long a person waits: for --help, for a completion, for the first sentence, for the whole answer."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from measure import arguments, command_s, publish

AMPACITY = [sys.executable, "-c", "from ampacity.cli import main; main()"]


def first_sentence_s(repeats: int, cwd: Path) -> float:
    """Least wall seconds from start until the first sentence of `init` is on the screen."""
    best = float("inf")
    for _ in range(repeats):
        began = time.perf_counter()
        command = [*AMPACITY, "init", "--force", "--gpus", "8xh100-sxm", "--people", "50", "--model", "llama-3.1-70b"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=cwd) as process:
            assert process.stdout is not None
            for line in process.stdout:
                if "can have" in line:
                    best = min(best, time.perf_counter() - began)
                    break
            process.stdout.read()
    return best


def main() -> None:
    """Measure and print."""
    options = arguments(__doc__ or "")
    repeats = 1 if options.smoke else 7
    with tempfile.TemporaryDirectory() as folder:
        cwd = Path(folder)
        bare = command_s([sys.executable, "-c", "pass"], repeats)
        shown = command_s([*AMPACITY, "--help"], repeats)
        os.environ["_AMPACITY_COMPLETE"] = "complete_bash"
        os.environ["COMP_WORDS"], os.environ["COMP_CWORD"] = "ampacity ", "1"
        completed = command_s([*AMPACITY[:-1], "from ampacity.cli import app; app(prog_name='ampacity')"], repeats)
        del os.environ["_AMPACITY_COMPLETE"]
        figures = {
            "python -c pass, wall s": bare[1],
            "ampacity --help, wall s": shown[1],
            "ampacity --help, CPU s": shown[0],
            "completion, wall s": completed[1],
            "init: first sentence, wall s": first_sentence_s(repeats, cwd),
            "run laptop (200 worlds, report), wall s": command_s([*AMPACITY, "run", "laptop"], repeats, cwd)[1],
        }
    publish("startup", figures, options.json)


if __name__ == "__main__":
    main()
