"""`ampacity init`: a scenario from a few words, and its answer at once."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from ampacity.cli.options import Json, Quiet, Seed

TEMPLATE = """\
# {title}. Change anything, then: ampacity run {file}
scenario: {name}
start: {start}
horizon: 4 weeks
service_level: {{hours: 99.5 %, tpot: 50 ms}}   # the limits hold in so many hours; time per output token

sites:
  here: {{time_zone: {zone}}}                     # pue, carbon, electricity, ...: ampacity check --schema
contracts:
  ours:
    start: {start}
    deliveries: [{{site: here, accelerator: {accelerator}, quantity: {quantity}}}]
    fee: {fee}
placements:
  main: {{model: {model}, precision: {precision}}}
limits:
  fair:                                          # no `tokens:`, so the largest that the compute carries are found
    windows:
      five-hour: {{length: 5 h, refill: at-first-use}}
      weekly: {{length: 7 d, refill: at-instants}}
tiers:
  people: {{people: {people}, model: {model}, behaviour: coding-agent, limit: fair}}
"""


def init(
    name: Annotated[str, typer.Argument(help="Name of the scenario; NAME.yaml is written here.")] = "our-lab",
    gpus: Annotated[str, typer.Option(help="How many of which accelerator, such as 8xh100-sxm.")] = "8xh100-sxm",
    people: Annotated[int, typer.Option(min=1, help="People on coding agents.")] = 50,
    model: Annotated[
        str, typer.Option(help="The model that is served; `ampacity show models` lists them.")
    ] = "llama-3.1-70b",
    zone: Annotated[str, typer.Option("--time-zone", help="Whose clock people live by.")] = "UTC",
    force: Annotated[bool, typer.Option("--force", help="Replace NAME.yaml if it is there.")] = False,
    json: Json = None,
    quiet: Quiet = False,
    seed: Seed = 1,
) -> None:
    """Write a scenario of a dozen lines from a few words, and answer it."""
    from ampacity.base.files import write_whole
    from ampacity.cli.screen import planned, say, shows, write_json
    from ampacity.scenario.load import load
    from ampacity.scenario.mistakes import Mistake, Mistakes

    quantity, accelerator = _gpus(gpus)
    path = Path(f"{name}.yaml")
    if path.exists() and not force:
        raise Mistakes(
            [Mistake(path.name, 0, "file", "", "is there already; --force replaces it, another NAME keeps it")]
        )
    text = scenario_text(name, quantity, accelerator, people, model, zone)
    # tried under a temporary name first, so that a wrong word leaves nothing behind
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        trial = Path(folder) / path.name
        trial.write_text(text, encoding="utf-8")
        s = load(trial)
    write_whole(path, text)
    show = shows(json, quiet=quiet)
    p = planned(s, seed, show=show)
    if json:
        from ampacity.reporting.result import result

        write_json(json, result(p))
    if show:
        say(p, [("written", str(path)), ("next", f"ampacity run {path}"), ("why", f"ampacity show limits {path}")])


def scenario_text(name: str, quantity: int, accelerator: str, people: int, model: str, zone: str) -> str:
    """The scenario file for these words."""
    from ampacity.base.calendar import today
    from ampacity.scenario import lookup

    known = lookup.accelerator(accelerator)
    precision = "fp8" if "fp8_dense" in known or not known else "bf16"
    index = next((i for i in ("rental_1yr", "rental_3yr") if f"{i}_price" in known), None)
    fee = f"{{index: {index}}}" if index else "{per_accelerator: 2 USD/h}   # no price in the catalog: put yours"
    return TEMPLATE.format(
        title=f"What limits can {quantity} x {accelerator} carry for {people} people on {model}",
        file=f"{name}.yaml",
        name=name,
        start=today(),
        zone=zone,
        accelerator=accelerator,
        quantity=quantity,
        fee=fee,
        model=model,
        precision=precision,
        people=people,
    )


def _gpus(text: str) -> tuple[int, str]:
    """ "8xh100-sxm" as a number and a name."""
    match = re.fullmatch(r"\s*(\d+)\s*[x*]\s*([A-Za-z0-9._-]+)\s*", text)
    if not match or int(match[1]) < 1:
        raise typer.BadParameter(f'"{text}"; expected how many of which, such as 8xh100-sxm', param_hint="--gpus")
    return int(match[1]), match[2].lower()
