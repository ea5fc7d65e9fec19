"""Checking and planning a scenario in a process that ends, so that whoever watches a service stays small.

`python -m ampacity.console.planned SCENARIO` writes two lines of JSON: the scenario's name and title once it is
checked, then its terms. Where pools are emulated they stand at no address yet.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from dataclasses import dataclass

from ampacity.policy.terms import Terms, terms_of

NOWHERE = "http://127.0.0.1:0"


class NotPlanned(ValueError):
    """A scenario that cannot be served; says all that is wrong with it."""


@dataclass(frozen=True)
class Planned:
    """The terms of a scenario, and what they call each pool and placement of it."""

    terms: Terms
    names: dict[tuple[str, str], str]


class Planning:
    """A scenario that is being checked and planned, in a process of its own."""

    def __init__(
        self, scenario: str, sets: tuple[str, ...], seed: int, *, emulate: bool, without: tuple[str, ...] = ()
    ) -> None:
        laid_over = [part for pair in sets for part in ("--set", pair)]
        laid_over += [part for pool in without for part in ("--without", pool)]
        command = [sys.executable, "-m", "ampacity.console.planned", scenario, *laid_over, "--seed", str(seed)]
        self._process = subprocess.Popen(
            [*command, *(["--emulate"] if emulate else [])],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def title(self) -> str:
        """The scenario's name and title, once it is checked. Raises NotPlanned."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise self._why_not()
        said = json.loads(line)
        return f"{said['name']} · {said['title']}" if said["title"] else str(said["name"])

    def planned(self) -> Planned:
        """Its terms, once they are there. Raises NotPlanned."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise self._why_not()
        self._process.communicate()
        said = json.loads(line)
        return Planned(terms_of(said["terms"]), {(pool, placement): n for pool, placement, n in said["names"]})

    def _why_not(self) -> NotPlanned:
        _, words = self._process.communicate()
        return NotPlanned(words.strip() or f"planning ended with code {self._process.returncode}")

    def end(self) -> None:
        """Nobody waits for it any more."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.communicate()


def main() -> int:
    """Check and plan what the command line names."""
    from ampacity.console.terms import live_terms, pool_names, serving_in
    from ampacity.policy.rows import LimitError
    from ampacity.policy.terms import TermsError
    from ampacity.scenario.load import load
    from ampacity.scenario.mistakes import Mistakes

    parser = argparse.ArgumentParser("python -m ampacity.console.planned", description=__doc__)
    parser.add_argument("scenario", metavar="SCENARIO")
    parser.add_argument("--set", dest="sets", metavar="KEY=VALUE", action="append", default=[])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--emulate", action="store_true")
    parser.add_argument("--without", metavar="POOL", action="append", default=[])
    args = parser.parse_args()
    try:
        s = load(args.scenario, sets=args.sets)
        print(json.dumps({"name": s.name, "title": s.title}), flush=True)
        names = pool_names(serving_in(s))
        emulated = dict.fromkeys(names, NOWHERE) if args.emulate else None
        terms = live_terms(s, seed=args.seed, emulated=emulated, without=args.without)
        told = {"terms": terms.text(), "names": [[*at, name] for at, name in names.items()]}
        print(json.dumps(told), flush=True)
    except (Mistakes, LimitError, TermsError, OSError) as err:
        print(err, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
