"""What people get wrong in a scenario, and that every mistake is told: the line, the key, what belongs there."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ampacity.scenario import lookup
from ampacity.scenario.load import load
from ampacity.scenario.mistakes import Mistake, Mistakes, nearest
from ampacity.scenario.scenario import Scenario

DELIVERY = "site: here, accelerator: h100-sxm, quantity: 8"


def ramp(*steps: str) -> str:
    lines = "".join(f"          - {{{step}}}\n" for step in steps)
    return (
        "contracts:\n  server:\n    deliveries:\n"
        f"      - site: here\n        accelerator: h100-sxm\n        quantity: 8\n        ramp:\n{lines}"
    )


def second_contract(*lines: str) -> str:
    return "contracts:\n  other:\n" + "".join(f"    {line}\n" for line in lines)


# One mistake each, laid over the laptop scenario: line 1 is `extends: laptop`, the text begins on line 2.
ONE_MISTAKE: list[tuple[str, str, int, str, str]] = [
    # quantities
    (
        "a mass for a power",
        "sites:\n  here:\n    power: {value: 300 kg, basis: server}\n",
        4,
        "sites.here.power",
        'a mass where a power belongs; did you mean "300 MW"?',
    ),
    (
        "a power without unit",
        "sites:\n  here:\n    power: {value: 300, basis: server}\n",
        4,
        "sites.here.power",
        "a number without a unit where a power belongs",
    ),
    (
        "a decimal comma",
        "sites: {here: {electricity: '90,5 USD/MWh'}}\n",
        2,
        "sites.here.electricity",
        'decimals are "1.5"',
    ),
    (
        "an unknown unit",
        "sites: {here: {restore: 5 fortnights}}\n",
        2,
        "sites.here.restore",
        'unknown unit "fortnights"',
    ),
    (
        "arithmetic in a unit",
        "sites: {here: {restore: 5 h**9**9**9}}\n",
        2,
        "sites.here.restore",
        '"h**9**9**9" is no unit',
    ),
    ("fewer than no people", "tiers: {tools: {people: -3}}\n", 2, "tiers.tools.people", "cannot be below zero here"),
    ("not a number", "tiers:\n  tools:\n    people: .nan\n", 4, "tiers.tools.people", "nan is not a number that"),
    ("infinitely many", "tiers:\n  tools:\n    people: .inf\n", 4, "tiers.tools.people", "inf is not a number that"),
    (
        "a number of 400 digits",
        f"tiers: {{tools: {{people: 1{'0' * 400}}}}}\n",
        2,
        "tiers.tools.people",
        "inf is not a number that",
    ),
    ("an infinite weight", "tiers: {tools: {weight: .inf}}\n", 2, "tiers.tools.weight", "expected a finite number"),
    ("a weight of zero", "tiers: {tools: {weight: 0}}\n", 2, "tiers.tools.weight", "expected more than 0"),
    ("a share above all", "service_level: {hours: 101 %}\n", 2, "service_level.hours", "cannot be more than 1 here"),
    (
        "more hours than a week has",
        "tiers:\n  developers:\n    behaviour:\n      active_hours: 200 h/week\n",
        5,
        "tiers.developers.behaviour.active_hours",
        "a share of the week cannot be more than 1 here",
    ),
    (
        "a PUE below 1",
        "sites:\n  here:\n    pue: {value: 0.95, low: 0.9, high: 1.1}\n",
        4,
        "sites.here.pue",
        "less than 1",
    ),
    (
        "a range upside down",
        "sites: {here: {pue: {low: 1.4, high: 1.1}}}\n",
        2,
        "sites.here.pue",
        "low, value and high must stand in this order",
    ),
    (
        "half a range",
        "sites: {here: {it_per_server: {value: 1.2, low: 1.1}}}\n",
        2,
        "sites.here.it_per_server",
        "both low and high",
    ),
    (
        "no value at all",
        "sites: {here: {it_per_server: {reason: unknown}}}\n",
        2,
        "sites.here.it_per_server",
        "a value has a `value`",
    ),
    (
        "an unknown key in a value",
        "sites: {here: {pue: {value: 1.2, hihg: 1.4}}}\n",
        2,
        "sites.here.pue",
        'unknown key "hihg" in a value',
    ),
    ("no claims", "sites: {here: {pue: []}}\n", 2, "sites.here.pue", "an empty list"),
    (
        "a status nobody uses",
        "sites: {here: {pue: {value: 1.2, status: rumoured}}}\n",
        2,
        "sites.here.pue.status",
        "expected one of announced, reported",
    ),
    # names and keys
    (
        "an unknown key",
        "contracts:\n  server:\n    acelerators: 8\n",
        4,
        "contracts.server.acelerators",
        "unknown key; ",
    ),
    (
        "a misspelt key",
        "contracts:\n  server:\n    suplier: x\n",
        4,
        "contracts.server.suplier",
        'unknown key; the nearest is "supplier"',
    ),
    ("a misspelt head", "worlds: 5\nhorizn: 4 weeks\n", 3, "horizn", 'unknown key; the nearest is "horizon"'),
    (
        "an unknown key deep below",
        "contracts:\n  server:\n    deliveries:\n"
        "      - {site: here, accelerator: h100-sxm, quantity: 8, quantitty: 8}\n",
        5,
        "contracts.server.deliveries.0.quantitty",
        'unknown key; the nearest is "quantity"',
    ),
    (
        "a missing key",
        f"contracts:\n  other:\n    deliveries: [{{{DELIVERY}}}]\n",
        3,
        "contracts.other.start",
        "missing; contract: a promise of capacity",
    ),
    (
        "an unknown accelerator",
        second_contract("start: 2026-12-01", "deliveries:", "  - {site: here, accelerator: h100-smx, quantity: 8}"),
        6,
        "contracts.other.deliveries.0.accelerator",
        'no accelerator of that name; the nearest is "h100-sxm"',
    ),
    (
        "an unknown site",
        second_contract("start: 2026-12-01", "deliveries:", "  - {site: hear, accelerator: h100-sxm, quantity: 8}"),
        6,
        "contracts.other.deliveries.0.site",
        'no site of that name; the nearest is "here"',
    ),
    (
        "an unknown model",
        "tiers: {tools: {model: llama-3.1-70}}\n",
        2,
        "tiers.tools.model",
        'no model of that name; the nearest is "llama-3.1-70b"',
    ),
    (
        "a model that nothing serves",
        "tiers: {tools: {model: llama-3.1-8b}}\n",
        2,
        "tiers.tools.model",
        "no placement serves it",
    ),
    (
        "an unknown behaviour",
        "tiers: {tools: {behaviour: coding-agnet}}\n",
        2,
        "tiers.tools.behaviour",
        'the nearest is "coding-agent"',
    ),
    (
        "an unknown shape of the week",
        "tiers: {tools: {behaviour: {shape: ofice}}}\n",
        2,
        "tiers.tools.behaviour.shape",
        'the nearest is "office"',
    ),
    ("an unknown grid", "sites: {here: {carbon: tvaa}}\n", 2, "sites.here.carbon", 'the nearest is "tva"'),
    ("an unknown limit", "tiers: {developers: {limit: tema}}\n", 2, "tiers.developers.limit", 'the nearest is "team"'),
    (
        "an unknown limit preset",
        "tiers: {developers: {limit: 2026-05-07/pro}}\n",
        2,
        "tiers.developers.limit",
        'the nearest is "2026-05-06/TIER"',
    ),
    (
        "an unknown tier of a preset",
        "tiers: {developers: {limit: 2026-05-06/proo}}\n",
        2,
        "tiers.developers.limit",
        "no limit of that name",
    ),
    ("an earmark for nobody", "contracts: {server: {earmark: [tool]}}\n", 2, "contracts.server.earmark", '"tools"'),
    (
        "a time zone that is not",
        "sites:\n  here:\n    time_zone: America/Memphis\n",
        4,
        "sites.here.time_zone",
        "no such time zone; the nearest is",
    ),
    (
        "a time zone that is a path",
        "tiers: {tools: {time_zone: ../../etc/passwd}}\n",
        2,
        "tiers.tools.time_zone",
        "no such time zone",
    ),
    (
        "a time zone of a reset that is not",
        "limits: {team: {windows: {weekly: {anchor: {time_zone: Pacific}}}}}\n",
        2,
        "limits.team.windows.weekly.anchor.time_zone",
        "no such time zone",
    ),
    ("a capital in a name", "sites: {There: {place: a shed}}\n", 2, "sites.There", "small letters, digits and hyphens"),
    ("a scenario without a good name", "scenario: My Lab\n", 2, "scenario", "a scenario has a name"),
    # forms
    ("a word for a site", "sites: {there: 5}\n", 2, "sites.there", "expected the keys of a site"),
    ("a list of jobs", "jobs: [1, 2]\n", 2, "jobs", "jobs is a mapping from names"),
    ("a list for a fee", "contracts: {server: {fee: [1]}}\n", 2, "contracts.server.fee", "expected a mapping of keys"),
    (
        "a number for a text",
        "sites: {here: {place: 5}}\n",
        2,
        "sites.here.place",
        "expected text",
    ),
    (
        "a word for a truth",
        "contracts: {server: {exclusive: perhaps}}\n",
        2,
        "contracts.server.exclusive",
        "true or false",
    ),
    (
        "a day that is not",
        "contracts: {server: {end: 2027-02-30}}\n",
        2,
        "contracts.server.end",
        "expected a day, such as",
    ),
    (
        "a time of day that is not",
        'limits: {team: {windows: {weekly: {anchor: {time: "25:00"}}}}}\n',
        2,
        "limits.team.windows.weekly.anchor.time",
        "expected a time of day",
    ),
    ("no world", "worlds: 0\n", 2, "worlds", "expected at least 1"),
    ("a horizon in parsecs", "horizon: 3 parsecs\n", 2, "horizon", "expected 1 day to 20 years"),
    ("a horizon of no days", "horizon: 0 d\n", 2, "horizon", "expected 1 day to 20 years"),
    ("a horizon beyond the calendar", "horizon: 99999 years\n", 2, "horizon", "expected 1 day to 20 years"),
    ("a start long ago", "start: 0001-01-01\n", 2, "start", "between the years 1970 and 2200"),
    # contracts
    (
        "two ramp steps on a day",
        ramp("date: 2026-12-01, quantity: 2", "date: 2026-12-01, quantity: 4"),
        10,
        "contracts.server.deliveries.0.ramp.1",
        "two steps on 2026-12-01",
    ),
    (
        "a ramp that goes back",
        ramp("date: 2026-12-10, quantity: 2", "date: 2026-12-03, quantity: 4"),
        10,
        "contracts.server.deliveries.0.ramp.1",
        "earlier than ramp[0] (2026-12-10): a ramp goes forward in time",
    ),
    (
        "a ramp above the quantity",
        ramp("date: 2026-12-01, quantity: 2", "date: 2026-12-10, quantity: 9"),
        10,
        "contracts.server.deliveries.0.ramp.1",
        "more than the contract's quantity (8)",
    ),
    (
        "a ramp before the contract",
        ramp("date: 2026-11-01, quantity: 2"),
        8,
        "contracts.server.deliveries.0.ramp",
        "begins before the contract's start (2026-11-23)",
    ),
    (
        "an end before the start",
        "contracts: {server: {end: 2026-11-01}}\n",
        2,
        "contracts.server.end",
        "not after start",
    ),
    (
        "a contract over before the scenario",
        second_contract("start: 2025-01-01", "end: 2026-01-01", f"deliveries: [{{{DELIVERY}}}]"),
        5,
        "contracts.other.end",
        "over before the scenario starts (2026-11-23)",
    ),
    (
        "two fees",
        "contracts: {server: {fee: {per_accelerator: 2 USD/h, monthly: 9 USD/month}}}\n",
        2,
        "contracts.server.fee",
        "a fee is one of monthly, per_accelerator or index",
    ),
    (
        "a spread over no index",
        "contracts: {server: {fee: {spread: 1 USD/h}}}\n",
        2,
        "contracts.server.fee.spread",
        "a spread is added to an index; there is none",
    ),
    (
        "a discount without late delivery",
        "contracts:\n  server:\n    delivery: {deadline: 2026-12-01, remedy: terminate, discount: 10 %}\n",
        4,
        "contracts.server.delivery.discount",
        "a discount goes with remedy late-discount",
    ),
    (
        "late delivery without its discount",
        "contracts: {server: {delivery: {deadline: 2026-12-01, remedy: late-discount}}}\n",
        2,
        "contracts.server.delivery.discount",
        "a discount goes with remedy late-discount",
    ),
    (
        "a commitment that ends before it begins",
        "contracts: {server: {commitment: {total: 5 USD, from: 2027-01-01, until: 2026-12-01}}}\n",
        2,
        "contracts.server.commitment.until",
        "not after `from` (2027-01-01)",
    ),
    (
        "a termination before the start",
        "contracts: {server: {termination: [{party: either, notice: 90 d, earliest: 2026-01-01}]}}\n",
        2,
        "contracts.server.termination.0.earliest",
        "before the contract's start",
    ),
    (
        "nothing delivered",
        "contracts: {server: {deliveries: []}}\n",
        2,
        "contracts.server.deliveries",
        "at least one entry",
    ),
    (
        "an exclusive site delivered to by another",
        "contracts:\n  server: {exclusive: true}\n"
        f"  other:\n    start: 2026-12-01\n    deliveries: [{{{DELIVERY}}}]\n",
        6,
        "contracts.other.deliveries",
        'server has site "here" exclusively at that time',
    ),
    # sites
    (
        "a site's power without basis",
        "sites: {here: {power: {basis: null}}}\n",
        2,
        "sites.here.power",
        "says its basis",
    ),
    (
        "a grid connection counted at servers",
        "sites:\n  here:\n    grid:\n      - {power: {value: 20 kW, basis: server}}\n",
        4,
        "sites.here.grid",
        "another basis mixes two",
    ),
    (
        "an orbit on the ground",
        "sites: {here: {orbit: {altitude: 600 km, ltan: 6}}}\n",
        2,
        "sites.here.orbit",
        "orbital",
    ),
    # placements
    (
        "a placement on no pool",
        "placements:\n  code: {accelerator: b200-sxm, precision: fp8}\n",
        3,
        "placements.code",
        "no contract delivers such accelerators at such a site",
    ),
    (
        "a pool claimed twice",
        "placements:\n  more: {model: llama-3.1-8b, site: here}\n",
        3,
        "placements.more",
        'pool server/here/h100-sxm is taken by placement "code" already',
    ),
    (
        "fp8 on a chip that has none",
        "contracts: {server: {deliveries: [{site: here, accelerator: a100-sxm, quantity: 8}]}}\n"
        "placements: {code: {accelerator: a100-sxm, precision: fp8}}\n",
        3,
        "placements.code.precision",
        "a100-sxm has no known peak at fp8; known are bf16",
    ),
    (
        "weights that do not fit",
        "placements:\n  code:\n    accelerators_per_replica: 1\n    precision: bf16\n",
        4,
        "placements.code.accelerators_per_replica",
        "llama-3.1-70b at bf16 needs 141 GB of weights; 1 x h100-sxm have 80 GB",
    ),
    (
        "a replica of more chips than there are digits for",
        f"placements: {{code: {{accelerators_per_replica: 1{'0' * 400}}}}}\n",
        2,
        "placements.code.accelerators_per_replica",
        "expected at most 100000",
    ),
    (
        "an environment variable with a dash",
        "placements: {code: {key_env: my-key}}\n",
        2,
        "placements.code.key_env",
        "expected the name of an environment variable",
    ),
    (
        "a file of a key without its whole path",
        "placements: {code: {key_file: secrets/key}}\n",
        2,
        "placements.code.key_file",
        "expected the whole path of a file",
    ),
    (
        "a key in two places",
        "placements: {code: {key_file: /run/key, key_env: KEY}}\n",
        2,
        "placements.code",
        "key_env and key_file: the key is in one of them",
    ),
    # limits and tiers
    (
        "a credit that holds nothing said",
        "limits:\n  team:\n    windows:\n      credit: {refill: never}\n",
        5,
        "limits.team.windows.credit.tokens",
        "a credit that never refills states its tokens",
    ),
    (
        "window twins",
        "limits:\n  team:\n    windows:\n      twin: {length: 5 h, refill: at-first-use}\n",
        5,
        "limits.team.windows.twin",
        'same length, refill and models as "five-hour"',
    ),
    (
        "a window without length",
        "limits: {team: {windows: {new: {refill: evenly}}}}\n",
        2,
        "limits.team.windows.new.length",
        "a window that refills has a length",
    ),
    (
        "a monthly window at instants",
        "limits: {team: {windows: {weekly: {length: 30 d}}}}\n",
        2,
        "limits.team.windows.weekly.length",
        "weekly: length 7 d",
    ),
    (
        "an anchor on a rolling window",
        "limits: {team: {windows: {five-hour: {anchor: {weekday: mon}}}}}\n",
        2,
        "limits.team.windows.five-hour.anchor",
        "only a window that refills at-instants has an anchor",
    ),
    (
        "weights that count nothing",
        "limits: {team: {windows: {five-hour: {weights: {uncached_input: 0, cache_read: 0, output: 0}}}}}\n",
        2,
        "limits.team.windows.five-hour.weights",
        "nothing would ever count",
    ),
    (
        "a window that counts two things",
        "limits: {team: {windows: {new: {length: 1 h, tokens: 5 M, requests: 9}}}}\n",
        2,
        "limits.team.windows.new.requests",
        "tokens or requests, not both",
    ),
    (
        "weights of requests",
        "limits: {team: {windows: {new: {length: 1 h, requests: 9, weights: {output: 5}}}}}\n",
        2,
        "limits.team.windows.new.weights",
        "counts each once",
    ),
    (
        "a window in flight of tokens",
        "limits: {team: {windows: {new: {refill: in-flight, tokens: 5 M}}}}\n",
        2,
        "limits.team.windows.new.requests",
        "states its requests",
    ),
    (
        "requests that pass into nothing",
        "limits: {team: {windows: {five-hour: {passing: 0.5}}}}\n",
        2,
        "limits.team.windows.five-hour.passing",
        "nothing passes without an overflow",
    ),
    (
        "half a request",
        "limits: {team: {windows: {new: {refill: in-flight, requests: 0.5}}}}\n",
        2,
        "limits.team.windows.new.requests",
        "cannot be less than 1",
    ),
    (
        "windows without names",
        "limits: {team: {windows: [{length: 5 h}]}}\n",
        2,
        "limits.team.windows.0.name",
        "missing; window",
    ),
    (
        "a limit on API customers",
        "tiers: {tools: {limit: team}}\n",
        2,
        "tiers.tools.limit",
        "API customers have no windows",
    ),
    (
        "a tier that makes no work",
        "tiers: {tools: {behaviour: {output_tokens: 0 token/h}}}\n",
        2,
        "tiers.tools.behaviour.output_tokens",
        "a tier without output makes no work",
    ),
    # jobs and events
    (
        "a job larger than what is delivered",
        "jobs:\n  train: {site: here, accelerator: h100-sxm, quantity: 9, start: 2026-12-01}\n",
        3,
        "jobs.train.quantity",
        "more than the 8 delivered there",
    ),
    (
        "a job on chips that are not there",
        "jobs: {train: {site: here, accelerator: b200-sxm, quantity: 1, start: 2026-12-01}}\n",
        2,
        "jobs.train",
        "no contract delivers b200-sxm at here",
    ),
    (
        "an event that names nothing",
        "events:\n  lost: {kind: reclaim, date: 2026-12-01}\n",
        3,
        "events.lost",
        "an event of kind reclaim names its contract",
    ),
    (
        "an event that names what is not",
        "events: {dark: {kind: outage, date: 2026-12-01, site: hear}}\n",
        2,
        "events.dark.site",
        'no site of that name; the nearest is "here"',
    ),
    (
        "a delay of no length",
        "events: {late: {kind: delay, date: 2026-12-01, contract: server}}\n",
        2,
        "events.late.duration",
        "a delay says how long it is",
    ),
    (
        "an event outside its contract",
        "events: {late: {kind: delay, date: 2026-11-01, contract: server, duration: 7 d}}\n",
        2,
        "events.late.date",
        "outside the contract (2026-11-23 to open)",
    ),
    # the text itself
    ("a key twice", "worlds: 5\ntitle: x\nworlds: 6\n", 4, "worlds", "duplicate key; it stands on line 2 already"),
    ("a Python object", "title: !!python/object:os.system {}\n", 2, "title", "a YAML tag"),
    ("a Python object that calls itself text", "title: !!python/object:str x\n", 2, "title", "a YAML tag"),
    ("a tag of ones own", "title: !secret x\n", 2, "title", "a YAML tag (!secret)"),
    ("a set", "title: !!set {a, b}\n", 2, "title", "a YAML tag"),
    (
        "a merge key",
        "sites:\n  here: &h {pue: 1.2}\ntiers:\n  <<: *h\n",
        5,
        "tiers",
        "merge keys are not read; use `extends:`",
    ),
    ("a list for a key", "? [a, b]\n: 5\n", 2, "file", "a key is a word, not a list or mapping"),
    ("an alias in itself", "title: &a [*a]\n", 2, "title" + ".0" * 32, "more than 32 levels deep"),
    ("a bracket left open", "title: [1, 2\nworlds: 5\n", 3, "YAML", "not readable"),
    ("a tab for spaces", "sites:\n\there: 5\n", 3, "YAML", "not readable"),
    ("two documents", "---\nworlds: 3\n", 2, "YAML", "not readable"),
    ("an octal number", "worlds: 0o17x\n", 2, "worlds", "expected a whole number"),
    # extends
]


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str | bytes], Path]:
    def written(text: str | bytes) -> Path:
        path = tmp_path / "ours.yaml"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    return written


def mistakes(path: str | Path) -> tuple[Mistake, ...]:
    with pytest.raises(Mistakes) as told:
        load(path)
    return told.value.mistakes


def test_the_table_has_at_least_forty_different_mistakes() -> None:
    names, texts = {m[0] for m in ONE_MISTAKE}, {m[1] for m in ONE_MISTAKE}
    assert len(names) == len(texts) == len(ONE_MISTAKE) >= 40


@pytest.mark.parametrize(
    ("text", "line", "key", "words"), [m[1:] for m in ONE_MISTAKE], ids=[m[0].replace(" ", "-") for m in ONE_MISTAKE]
)
def test_one_mistake_is_told_once_with_its_line_its_key_and_what_belongs_there(
    write: Callable[[str], Path], text: str, line: int, key: str, words: str
) -> None:
    found = mistakes(write(f"extends: laptop\n{text}"))
    assert [(m.file, m.line, m.key) for m in found] == [("ours.yaml", line, key)]
    assert words in found[0].message


# ---- files that are no scenarios


def deep(levels: int) -> str:
    return "title: " + "{a: " * levels


def bomb() -> str:
    lines = ["a: &a [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]"]
    lines += [f"{b}: &{b} [{', '.join([f'*{a}'] * 10)}]" for a, b in zip("abcdefgh", "bcdefghi", strict=True)]
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("content", "key", "words"),
    [
        pytest.param("", "file", "empty; a scenario begins with `scenario: NAME`", id="empty"),
        pytest.param("# only a remark\n", "file", "empty", id="only-a-comment"),
        pytest.param("- one\n- two\n", "file", "a scenario is a mapping of keys", id="list-at-top"),
        pytest.param("just words\n", "file", "a scenario is a mapping of keys", id="words-at-top"),
        pytest.param("null\n", "file", "a scenario is a mapping of keys", id="null-at-top"),
        pytest.param("title: größer\n".encode("latin-1"), "file", "not UTF-8 text (byte 9)", id="latin-1"),
        pytest.param("title: x\n".encode("utf-16"), "file", "not UTF-8 text (byte 0)", id="utf-16"),
        pytest.param(b"\x7fELF\x00\x01\x02\x03", "YAML", "not readable", id="a-program"),
        pytest.param(b"title: a\x00b\n", "YAML", "not readable", id="a-zero-byte"),
        pytest.param(
            b"title: " + b"x" * 10_000_000, "file", "10.0 MB; a scenario is text written by people", id="10-MB"
        ),
        pytest.param(deep(10_000), "YAML", "not readable", id="10000-levels"),
        pytest.param(deep(40) + "1" + "}" * 40 + "\n", "title" + ".a" * 32, "more than 32 levels", id="40-levels"),
        pytest.param(bomb(), None, "more than 50000 values once aliases are written out", id="billion-laughs"),
        pytest.param("a: *nobody\n", "YAML", "undefined alias", id="an-alias-of-nothing"),
        pytest.param("%YAML 9.9\n---\na: 1\n", "YAML", "not readable", id="yaml-of-the-future"),
    ],
)
def test_a_file_that_is_no_scenario_says_what_it_is(
    write: Callable[[str | bytes], Path], content: str | bytes, key: str | None, words: str
) -> None:
    (mistake,) = mistakes(write(content))
    assert mistake.file == "ours.yaml"
    assert key in (None, mistake.key)
    assert words in mistake.message


def test_yes_is_not_silently_false_in_old_yaml(write: Callable[[str], Path]) -> None:
    text = "%YAML 1.1\n---\nextends: laptop\ncontracts: {server: {exclusive: yes}}\n"
    (mistake,) = mistakes(write(text))
    assert (mistake.line, mistake.key, mistake.found) == (4, "contracts.server.exclusive", "yes")


def test_a_byte_order_mark_does_no_harm(write: Callable[[str], Path]) -> None:
    assert load(write("\ufeffextends: laptop\n")).name == "laptop"


def test_a_missing_file_is_a_mistake_of_that_name(tmp_path: Path) -> None:
    (mistake,) = mistakes(tmp_path / "colosus.yaml")
    assert (mistake.file, mistake.line, mistake.key) == ("colosus.yaml", 0, "file")
    assert mistake.message.startswith("no such file, and no packaged scenario of that name; ")
    assert 'the nearest is "colossus-1"' in mistake.message


def test_a_folder_is_not_a_file(tmp_path: Path) -> None:
    (tmp_path / "lab.yaml").mkdir()
    (mistake,) = mistakes(tmp_path / "lab.yaml")
    assert (mistake.file, mistake.message) == ("lab.yaml", "a folder; expected a YAML file")


def test_an_endless_file_is_too_long() -> None:
    (mistake,) = mistakes("/dev/zero")
    assert "a scenario is text written by people, at most 0.25 MB" in mistake.message


@pytest.mark.parametrize("name", ["a" * 5000, "a\0b", "", ".", "../..", "a/b/c"], ids=lambda n: ascii(n)[:8])
def test_a_name_that_no_file_can_have_is_a_mistake(name: str) -> None:
    (mistake,) = mistakes(name)
    assert mistake.key == "file"


@pytest.mark.parametrize("below", ["colossus-9", "nowhere.yaml", ".", "a" * 5000, '"a\\0b"', '""', "laptoq"])
def test_extends_that_leads_nowhere_is_told_on_its_line(write: Callable[[str], Path], below: str) -> None:
    (mistake,) = mistakes(write(f"scenario: ours\nextends: {below}\n"))
    assert (mistake.file, mistake.line, mistake.key) == ("ours.yaml", 2, "extends")
    assert mistake.message.startswith("no such file or packaged scenario; ")


def test_extends_takes_one_name(write: Callable[[str], Path]) -> None:
    (mistake,) = mistakes(write("scenario: ours\nextends: [laptop, laptop]\n"))
    assert (mistake.line, mistake.message) == (2, "expected one path or packaged name")


def test_a_file_that_extends_itself_goes_round_in_a_circle(write: Callable[[str], Path]) -> None:
    (mistake,) = mistakes(write("scenario: ours\nextends: ours.yaml\n"))
    assert (mistake.line, mistake.message) == (2, "goes round in a circle: ours.yaml -> ours.yaml")


def test_a_scenario_with_nothing_in_it_misses_four_things_and_a_start(write: Callable[[str], Path]) -> None:
    found = mistakes(write("scenario: ours\n"))
    assert {m.key for m in found} == {"sites", "contracts", "placements", "tiers", "start"}
    assert all(m.message.startswith("missing; ") for m in found)


def test_a_chip_whose_peak_nobody_published_names_those_that_are_known(write: Callable[[str], Path]) -> None:
    text = (
        "extends: laptop\n"
        "contracts: {server: {deliveries: [{site: here, accelerator: tpu-8t, quantity: 8}]}}\n"
        "placements:\n  code: {accelerator: tpu-8t, precision: bf16}\n"
    )
    (mistake,) = mistakes(write(text))
    assert (mistake.line, mistake.key) == (4, "placements.code.precision")
    assert mistake.message == "tpu-8t has no known peak at bf16; known are fp4"


def test_a_chip_of_ones_own_without_figures_says_each_that_is_missing(write: Callable[[str], Path]) -> None:
    text = (
        "extends: laptop\n"
        "accelerators: {ours: {tdp: 700 W}}\n"
        "contracts: {server: {deliveries: [{site: here, accelerator: ours, quantity: 8}]}}\n"
        "placements: {code: {accelerator: ours, precision: fp8}}\n"
    )
    assert {(m.line, m.key, m.message) for m in mistakes(write(text))} == {
        (4, "placements.code.precision", "ours has no known peak at fp8; none is known"),
        (4, "placements.code.accelerator", "its memory is not known; give hbm_size and hbm_bandwidth"),
    }


def test_a_contract_that_is_wrong_does_not_make_its_jobs_wrong(write: Callable[[str], Path]) -> None:
    text = (
        "extends: laptop\n"
        "contracts: {server: {end: 2026-01-01}}\n"
        "jobs: {train: {site: here, accelerator: h100-sxm, quantity: 2, start: 2026-12-01}}\n"
    )
    assert [m.key for m in mistakes(write(text))] == ["contracts.server.end"]


TEN = """extends: laptop
worlds: 0
horizon: 3 parsecs
sites:
  here:
    pue: 0.9
contracts:
  server:
    suplier: a cloud
  other:
    start: 2026-12-01
    deliveries:
      - {site: hear, accelerator: h100-smx, quantity: 8}
limits:
  team:
    windows:
      credit: {refill: never}
tiers:
  tools: {people: -3}
  developers: {time_zone: America/Memphis}
events:
  lost: {kind: reclaim, date: 2026-12-01}
"""


def test_ten_mistakes_of_one_file_are_told_at_once(write: Callable[[str], Path]) -> None:
    assert {(m.line, m.key) for m in mistakes(write(TEN))} == {
        (2, "worlds"),
        (3, "horizon"),
        (6, "sites.here.pue"),
        (9, "contracts.server.suplier"),
        (13, "contracts.other.deliveries.0.site"),
        (13, "contracts.other.deliveries.0.accelerator"),
        (17, "limits.team.windows.credit.tokens"),
        (19, "tiers.tools.people"),
        (20, "tiers.developers.time_zone"),
        (22, "events.lost"),
    }


# ---- how mistakes read


def test_mistakes_read_as_one_block_a_file() -> None:
    told = Mistakes(
        [
            Mistake("lab.yaml", 14, "sites.memphis.power", "300 kg", "a mass where a power belongs"),
            Mistake("lab.yaml", 22, "contracts.c1.acelerators", "", 'unknown key; the nearest is "accelerators"'),
            Mistake("--set", 0, "sites.memphis.pue", "0.9", "a plain number cannot be less than 1 here"),
        ]
    )
    assert str(told) == (
        "--set: 1 mistake\n\n"
        "  sites.memphis.pue: 0.9\n"
        "  a plain number cannot be less than 1 here\n\n"
        "lab.yaml: 2 mistakes\n\n"
        "  line 14  sites.memphis.power: 300 kg\n"
        "           a mass where a power belongs\n"
        "  line 22  contracts.c1.acelerators\n"
        '           unknown key; the nearest is "accelerators"'
    )


def test_text_from_a_file_cannot_steer_the_terminal(write: Callable[[str], Path]) -> None:
    path = write('extends: laptop\n"\\e[2Jworlds": 3\ntiers: {tools: {model: "\\e]0;owned\\a\\nline 99 fake"}}\n')
    with pytest.raises(Mistakes) as told:
        load(path)
    assert all(c.isprintable() or c == "\n" for c in str(told.value))
    assert sum(line.startswith("  line") for line in str(told.value).splitlines()) == 2


def test_half_a_surrogate_pair_can_still_be_printed(write: Callable[[str], Path]) -> None:
    path = write('extends: laptop\n"\\ud800": 3\ntiers: {tools: {model: "\\udfff"}}\n')
    with pytest.raises(Mistakes) as told:
        load(path)
    assert str(told.value).encode("utf-8")


def test_the_nearest_word_is_suggested_and_without_one_a_few_that_are_known() -> None:
    assert nearest("acelerators", ["accelerators", "models"]) == 'the nearest is "accelerators"'
    assert nearest("x", ["b", "a"]) == "known are a, b"
    assert nearest("x", "abcdefghij") == "known are a, b, c, d, e, f, g, h, ..."
    assert nearest("x", []) == "none is known here"


# ---- whatever is written: a scenario or mistakes, nothing else

NAMES = (
    "laptop here server h100-sxm b200-sxm llama-3.1-70b coding-agent team tools developers 2026-05-06/pro tva fp8 "
    "never at-first-use evenly reclaim limit-change lessor training all mon America/Chicago 2026-12-01 2026-11-23 "
    "9999-12-31 0001-01-01 1.1 -1 0 nan inf 1e400 00:30 h200-sxm"
)
QUANTITIES = ["5 h", "300 MW", "2 USD/h", "5 %", "8 GPU", "7 d", "42 h/week", "3 USD/month", "", "\0"]
WORDS = st.sampled_from([*NAMES.split(), *QUANTITIES])
HUGE = st.sampled_from([10**400, -(10**400), 2**63])
NUMBERS = st.one_of(st.integers(-3, 12), st.integers(), HUGE, st.floats(), st.booleans(), st.none())
WRITTEN_KEYS = (
    "scenario title start horizon worlds service_level extends accelerators models sites contracts placements limits "
    "tiers jobs events hours tpot name here server code team developers tools weekly five-hour power pue carbon grid "
    "turbines batteries orbit altitude ltan kind time_zone value low high unit basis status known_since reason "
    "end deliveries site accelerator quantity ramp date fee_share fee monthly per_accelerator index spread earmark "
    "exclusive termination reclaim options commitment prepayment delivery windows length refill anchor weekday time "
    "tokens weights output peak multiplier days from to people behaviour like active_hours output_tokens shape "
    "model limit weight price contract tier share duration notice precision accelerators_per_replica"
)
KEYS = st.sampled_from(WRITTEN_KEYS.split())
TREES = st.recursive(
    WORDS | NUMBERS | st.text(max_size=5),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(KEYS, below, max_size=4),
    max_leaves=20,
)


def as_yaml(found: Any) -> str:
    """A tree as flow YAML."""
    match found:
        case dict():
            return "{" + ", ".join(f"{as_yaml(k)}: {as_yaml(v)}" for k, v in found.items()) + "}"
        case list():
            return "[" + ", ".join(as_yaml(v) for v in found) + "]"
        case bool() | None:
            return {True: "true", False: "false", None: "null"}[found]
        case float():
            return ".nan" if math.isnan(found) else repr(found).replace("inf", ".inf")
        case str():
            return '"' + "".join(c if c.isalnum() and c.isascii() else f"\\U{ord(c):08x}" for c in found) + '"'
    return str(found)


def outcome(path: Path, content: str | bytes, **how: Any) -> Scenario | Mistakes:
    """What loading the content gives; whatever else it raises fails the test."""
    path.write_bytes(content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content)
    try:
        return load(path, **how)
    except Mistakes as told:
        return told


def flaws(found: object) -> list[str]:
    """What keeps an outcome from being a usable scenario, or mistakes of which each says where and what."""
    match found:
        case Scenario():
            return [] if found.digest() == found.replace({}).digest() else ["the digest does not survive a rebuild"]
        case Mistakes(mistakes=()):
            return ["mistakes, but none is told"]
        case Mistakes():
            str(found).encode()  # what is told can be printed
            return [f"{m!r} lacks {', '.join(lacks)}" for m in found.mistakes if (lacks := missing_in(m))]
    return [f"{found!r} is neither"]


def missing_in(mistake: Mistake) -> list[str]:
    here = {"a file": mistake.file, "a message": mistake.message, "a line": mistake.line >= 0}
    return [part for part, there in here.items() if not there]


@pytest.mark.parametrize(
    ("found", "flaw"),
    [
        (None, "neither"),
        (Mistakes([]), "none is told"),
        (Mistakes([Mistake("x.yaml", 1, "worlds", "", "")]), "lacks a message"),
        (Mistakes([Mistake("", -1, "worlds", "", "no")]), "lacks a file, a line"),
        (
            Mistakes([Mistake("x.yaml", 1, "worlds", "", "no"), Mistake("x.yaml", -1, "worlds", "", "no")]),
            "lacks a line",
        ),
    ],
)
def test_an_outcome_that_tells_too_little_is_noticed(found: object, flaw: str) -> None:
    (noticed,) = flaws(found)
    assert noticed.endswith(flaw)


FUZZ = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@FUZZ
@given(st.dictionaries(KEYS, TREES, max_size=5), st.sampled_from([None, date(2026, 5, 6)]))
def test_any_tree_over_a_good_scenario_is_a_scenario_or_mistakes(
    tmp_path: Path, tree: dict[str, Any], as_of: date | None
) -> None:
    text = as_yaml({"extends": "laptop", **tree})
    assert flaws(outcome(tmp_path / "x.yaml", text, as_of=as_of)) == []


LAPTOP = Path(str(lookup.scenario_path("laptop"))).read_text(encoding="utf-8")


@FUZZ
@given(st.randoms(use_true_random=False), st.integers(1, 4))
def test_any_slip_of_the_hand_in_a_good_scenario_is_a_scenario_or_mistakes(
    tmp_path: Path, chance: random.Random, slips: int
) -> None:
    lines = LAPTOP.splitlines()
    for _ in range(slips):
        i = chance.randrange(len(lines))
        j = chance.randrange(len(lines[i]) + 1)
        match chance.randrange(5):
            case 0:
                lines[i] = lines[i][:j] + lines[i][j + 1 :]
            case 1:
                lines[i] = lines[i][:j] + chance.choice("{}[]:,-#&*!|>'\"% \t0a\u00e9") + lines[i][j:]
            case 2:
                lines.insert(i, lines[chance.randrange(len(lines))])
            case 3 if len(lines) > 1:
                del lines[i]
            case _:
                lines[i] = (
                    lines[i].partition(":")[0] + ": " + chance.choice(["null", "[]", "{}", "-1", ".nan", "x", "[[]]"])
                )
    assert flaws(outcome(tmp_path / "x.yaml", "\n".join(lines) + "\n")) == []


@FUZZ
@given(st.one_of(st.binary(max_size=60), st.text(max_size=60), TREES.map(as_yaml)))
def test_any_bytes_are_a_scenario_or_mistakes(tmp_path: Path, content: str | bytes) -> None:
    assert flaws(outcome(tmp_path / "x.yaml", content)) == []


@FUZZ
@given(st.lists(st.builds("{}={}".format, st.lists(KEYS | st.just("0"), max_size=5).map(".".join), WORDS), max_size=3))
def test_any_set_is_a_scenario_or_mistakes(tmp_path: Path, sets: list[str]) -> None:
    assert flaws(outcome(tmp_path / "x.yaml", "extends: laptop\n", sets=sets)) == []


UNITS = {"fp8_dense": "PFLOP/s", "hbm_size": "GB", "hbm_bandwidth": "TB/s", "scaleup_bandwidth": "GB/s", "speed": None}


@pytest.mark.parametrize("figure", UNITS)
@pytest.mark.parametrize("ranged", [False, True])
def test_a_chip_that_would_never_end_an_iteration_is_refused(
    write: Callable[[str], Path], figure: str, ranged: bool
) -> None:
    unit = UNITS[figure]
    text = f"0 {unit or ''}" if not ranged else "{value: 1, low: 0, high: 2" + (f", unit: {unit}" if unit else "") + "}"
    (mistake,) = mistakes(write(f"extends: laptop\naccelerators: {{h100-sxm: {{{figure}: {text}}}}}\n"))
    assert mistake.key == f"accelerators.h100-sxm.{figure}"
    assert mistake.line == 2
    assert "more than zero" in mistake.message
