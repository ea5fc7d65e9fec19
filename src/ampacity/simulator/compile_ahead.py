"""The cell's kernel compiled in a process of its own, while something else is worked out: a minute, once a version."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass

from ampacity.base.compiled import cache_folder, is_compiled
from ampacity.journal.lock import hold
from ampacity.simulator.cell_loop import run_cell

COMMAND = "from ampacity.simulator.compile_ahead import compile_cell; compile_cell()"


@dataclass
class Ahead:
    """The process that compiles, once it has been started; None where machine code is kept from before.

    Nothing depends on how it ends: whoever finds no machine code compiles.
    """

    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Begin, if there is anything to compile; finding out takes a third of a second."""
        if not is_compiled(run_cell):
            quiet = subprocess.DEVNULL
            self.process = subprocess.Popen([sys.executable, "-c", COMMAND], stdin=quiet, stdout=quiet, stderr=quiet)

    @property
    def goes_on(self) -> bool:
        """Whether it is not done yet."""
        return self.process is not None and self.process.poll() is None

    def wait(self) -> None:
        """Until it is done."""
        if self.process is not None:
            self.process.wait()


def compile_cell() -> None:
    """Run the smallest cell, which compiles what runs any; nothing if another process is at it."""
    from ampacity.simulator.cell import open_cell
    from ampacity.simulator.cell_terms import Pool, Routing
    from ampacity.simulator.engine import Engine
    from ampacity.simulator.scripts import scripts_of_trace
    from ampacity.simulator.step_table import TICKS, StepTable

    folder = cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        held = hold(folder / "cell")
    except OSError:
        return
    pool = Pool(Engine(16, token_budget=64, max_seqs=4), StepTable(per_iteration=1000 * TICKS), 1)
    open_cell((pool,), scripts_of_trace([0], 1, 1), Routing()).run()
    if held is not None:
        held.close()
