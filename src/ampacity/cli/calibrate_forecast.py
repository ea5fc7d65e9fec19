"""`ampacity calibrate forecast JOURNAL`: how a forecast did, in sentences, and what the next one is to know."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from ampacity.scenario.mistakes import Mistake, Mistakes

if TYPE_CHECKING:
    from ampacity.reporting.catalog_views import View

USUAL_OUT = "learned.forecast.json"


def forecast_held(journal: Path, foretold: Path, out: Path, *, force: bool) -> View:
    """Hold a journal against a forecast and write what was learned; over a file that is there with `force` alone."""
    from ampacity.forecast.beside import held, rows_of, sentences
    from ampacity.forecast.forecast_file import read_forecast
    from ampacity.forecast.learned import learn, write_learned
    from ampacity.reporting.catalog_views import View

    if out.exists() and not force:
        message = "is there already; --force replaces it, another --out keeps it"
        raise Mistakes([Mistake(out.name, 0, "file", "", message)])
    try:
        f = read_forecast(foretold)
    except OSError as err:
        why = f"{err.strerror or err}; forecast_of(...).write makes one before a run (docs/rooms/forecast.md)"
        raise Mistakes([Mistake(str(foretold), 0, "file", "", why)]) from err
    except ValueError as err:
        wanted = "no forecast as forecast_of(...).write makes one (docs/rooms/forecast.md)"
        raise Mistakes([Mistake(foretold.name, 0, "file", "", f"{wanted}: {err}")]) from err
    measured = rows_of(journal)
    m, k = held(f.figures, f.load, measured)
    learned = learn(f.load, f.draws, measured, f.learned)
    write_learned(out, learned)
    words = sentences(f.figures, m, k)
    lines = [f"{journal.name} beside {foretold.name} · {m.requests:,} requests, {f.figures.requests:,} forecast", ""]
    lines += [f"  {s}" for s in (*words, "", *learned.because)]
    data = {
        "marks": {**msgspec.to_builtins(k), "met": k.met},
        "forecast": msgspec.to_builtins(f.figures),
        "measured": msgspec.to_builtins(m),
        "learned": msgspec.to_builtins(learned),
        "file": str(out),
    }
    return View("\n".join(line.rstrip() for line in lines), data)
