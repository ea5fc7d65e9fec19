"""A scenario file to frozen nouns: `extends`, `--set`, `--as-of`, the catalog, and every mistake at once."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from ampacity.scenario import behaviour_file, calibration_file, lookup
from ampacity.scenario.accelerator import Accelerator
from ampacity.scenario.consistency import Names, consistency
from ampacity.scenario.contract import Contract
from ampacity.scenario.event import Event
from ampacity.scenario.job import Job
from ampacity.scenario.limit import Limit
from ampacity.scenario.mistakes import Mistake, Mistakes, nearest
from ampacity.scenario.model import Model
from ampacity.scenario.placement import Placement
from ampacity.scenario.pydantic_words import mistakes_of
from ampacity.scenario.scenario import Scenario
from ampacity.scenario.site import Site
from ampacity.scenario.tier import Tier
from ampacity.scenario.tree import Key, Tree, merged, read_tree

COLLECTIONS: dict[str, type[BaseModel]] = {
    "accelerators": Accelerator,
    "models": Model,
    "sites": Site,
    "contracts": Contract,
    "placements": Placement,
    "limits": Limit,
    "tiers": Tier,
    "jobs": Job,
    "events": Event,
}
HEAD = ("scenario", "title", "about", "start", "horizon", "worlds", "service_level")
DEFAULTS: dict[str, Any] = {"horizon": "28 d", "service_level": {"hours": "99.5 %"}}
MAX_HORIZON_DAYS = 7320
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")


def load(name: str | Path, *, sets: Iterable[str] = (), as_of: date | None = None) -> Scenario:
    """Load a scenario by path or packaged name.

    sets: "sites.here.pue=1.15" lays a value over a key. as_of: leave out what became known later.
    Raises Mistakes with everything that is wrong.
    """
    tree = _with_extends(str(name), None, ())
    for text in sets:
        _set(tree, text)
    _take_in(tree, Path())
    return build(tree, as_of)


def rebuild(scenario: Scenario, changes: Mapping[str, object]) -> Scenario:
    """The scenario with keys of its source changed. Raises Mistakes."""
    tree = Tree(_copy(scenario._source), {(): (scenario.name, 0)})
    for key, value in changes.items():
        _lay(tree, tuple(key.split(".")), value, "replace")
    _take_in(tree, Path())
    return build(tree, scenario.as_of)


def load_as_of(scenario: Scenario, day: date) -> Scenario:
    """The same scenario with what was known on another day. Raises Mistakes."""
    return build(Tree(_copy(scenario._source), {(): (scenario.name, 0)}), day)


def build(tree: Tree, as_of: date | None) -> Scenario:
    """Nouns from a tree. Raises Mistakes."""
    work = _Build(tree, as_of, list(tree.mistakes))
    head = work.head()
    nouns = {key: work.collection(key, noun) for key, noun in COLLECTIONS.items()}
    names = Names({key: work.names.get(key, ()) for key in COLLECTIONS}, tree.data)
    work.add(consistency(nouns, names))
    if not work.mistakes:
        scenario: Scenario | None = work.validated(Scenario, {**head, "as_of": as_of, **nouns}, ())
        if scenario is not None and not work.mistakes:
            scenario._source = _copy(tree.data)
            return scenario
    raise Mistakes(work.mistakes)


@dataclass
class _Build:
    """Mistakes are gathered while noun after noun is made, so that one look shows them all."""

    tree: Tree
    as_of: date | None
    mistakes: list[Mistake] = field(default_factory=list)
    names: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def add(self, found: Iterable[tuple[Key, str, str]]) -> None:
        for path, value, message in found:
            file, line = self.tree.mark(path)
            self.mistakes.append(Mistake(file, line, ".".join(path), value[:60], message))

    def head(self) -> dict[str, Any]:
        data = {**DEFAULTS, **self.tree.data}
        for key in self.tree.data:
            if key not in HEAD and key not in COLLECTIONS:
                self.add([((key,), "", f"unknown key; {nearest(key, (*HEAD, 'extends', *COLLECTIONS))}")])
        if not isinstance(data.get("scenario"), str) or not _NAME.fullmatch(data["scenario"]):
            found = str(data.get("scenario", ""))
            self.add([(("scenario",), found, "a scenario has a name: small letters, digits, hyphens")])
        head: dict[str, Any] = {"name": str(data.get("scenario")), "horizon_days": 1}
        head |= {k: data[k] for k in ("title", "about", "start", "worlds", "service_level") if k in data}
        self.add(mistakes_of(Scenario, head, self.as_of))
        match = re.fullmatch(r"\s*(\d{1,5})\s*(d|days?|weeks?|months?|years?)\s*", str(data["horizon"]))
        days = _horizon_days(data.get("start"), int(match[1]), match[2].rstrip("s")) if match else 0
        if not 1 <= days <= MAX_HORIZON_DAYS:
            message = 'expected 1 day to 20 years, such as "4 weeks" or "18 months"'
            self.add([(("horizon",), str(data["horizon"]), message)])
        return {**head, "horizon_days": days}

    def collection(self, key: str, noun: type[BaseModel]) -> tuple[Any, ...]:
        raw = self.tree.data.get(key) or {}
        if not isinstance(raw, dict):
            self.add([((key,), "", f"{key} is a mapping from names, such as `{key}: {{ours: ...}}`")])
            return ()
        raw = {k: v for k, v in raw.items() if self._known(v)}
        self.names[key] = tuple(raw)
        found = []
        for name, fields in {**raw, **self._from_catalog(key, raw)}.items():
            if not _NAME.fullmatch(name):
                self.add([((key, name), name, "a name is small letters, digits and hyphens")])
            if fields is not None and not isinstance(fields, dict):
                self.add([((key, name), str(fields), f"expected the keys of a {noun.__name__.lower()}")])
                continue
            if made := self.validated(noun, self._completed(key, name, fields or {}), (key, name)):
                found.append(made)
        return tuple(found)

    def validated(self, noun: type[BaseModel], fields: dict[str, Any], path: Key) -> Any:
        fields = self._known_parts(fields)
        try:
            return noun.model_validate(fields, context={"as_of": self.as_of})
        except ValidationError as err:
            found = mistakes_of(noun, fields, self.as_of, err)
            self.add([((*path, *key), value, message) for key, value, message in found])
            return None

    def _known(self, fields: Any) -> bool:
        since = fields.get("known_since") if isinstance(fields, dict) else None
        try:
            return self.as_of is None or not since or date.fromisoformat(str(since)) <= self.as_of
        except ValueError:
            return True

    def _known_parts(self, fields: dict[str, Any]) -> dict[str, Any]:
        """The fields without those entries of lists (clauses) that became known later; claims see to themselves."""

        def kept(entry: Any) -> bool:
            return not isinstance(entry, dict) or "value" in entry or "low" in entry or self._known(entry)

        return {k: [e for e in v if kept(e)] if isinstance(v, list) else v for k, v in fields.items()}

    def _published(self, claims: Any) -> bool:
        """Whether any of the catalog's claims about a figure that may be absent was known on the day."""
        return not isinstance(claims, list) or any(self._known(claim) for claim in claims)

    def _from_catalog(self, key: str, raw: dict[str, Any]) -> dict[str, Any]:
        """Things that the scenario names without describing them."""
        data = self.tree.data
        if key == "accelerators":
            contracts = _fields_of(data.get("contracts"))
            deliveries = [f.get(part) for part in ("deliveries", "options") for f in contracts]
            wanted = [
                d.get("accelerator") for ds in deliveries if isinstance(ds, list) for d in ds if isinstance(d, dict)
            ]
            return {name: {} for name in lookup.accelerator_names() if name in wanted and name not in raw}
        if key == "models":
            wanted = [f.get("model") for k in ("tiers", "placements") for f in _fields_of(data.get(k))]
            return {name: {} for name in lookup.model_names() if name in wanted and name not in raw}
        if key == "limits":
            wanted = [f.get("limit") for k in ("tiers", "events") for f in _fields_of(data.get(k))]
            presets = {w: _preset(w) for w in wanted if isinstance(w, str) and "/" in w}
            return {name.replace("/", "-"): fields for name, fields in presets.items() if fields}
        return {}

    def _completed(self, key: str, name: str, fields: dict[str, Any]) -> dict[str, Any]:
        """A noun's keys, with its name and what the catalog says where the scenario is silent."""
        fields = {"name": name, **fields}
        if key == "accelerators":
            return {**{k: v for k, v in lookup.accelerator(name).items() if self._published(v)}, **fields}
        if key == "models":
            return {**lookup.model(name), **fields}
        if key == "sites":
            carbon = fields.get("carbon")
            if isinstance(carbon, str) and _NAME.fullmatch(carbon) and not carbon[0].isdigit():
                fields["carbon"] = lookup.grid_carbon(carbon) or None
                if not fields["carbon"]:
                    known = nearest(carbon, lookup.grid_names())
                    self.add([(("sites", name, "carbon"), carbon, f"no grid of that name in the catalog; {known}")])
            if isinstance(orbit := fields.get("orbit"), dict):
                return {**lookup.orbital_site_defaults(), **fields, "orbit": {**lookup.orbit_defaults(), **orbit}}
            return {**lookup.site_defaults(), **fields}
        if key == "limits" and isinstance(windows := fields.get("windows"), dict):
            fields["windows"] = [{"name": n, **(w if isinstance(w, dict) else {})} for n, w in windows.items()]
        if key in ("tiers", "events") and isinstance(limit := fields.get("limit"), str) and _preset(limit):
            fields["limit"] = limit.replace("/", "-")
        if key == "tiers":
            own = self._behaviour(
                name, fields.get("behaviour", "coding-agent"), self._window_tokens(fields.get("model"))
            )
            fields["behaviour"] = own
        return fields

    def _window_tokens(self, model: Any) -> float:
        """The longest context of a model that is named, as the scenario or the catalog has it; infinite if neither."""
        models = self.tree.data.get("models")
        own = models.get(model) if isinstance(models, dict) else None
        found = {**lookup.model(str(model)), **(own if isinstance(own, dict) else {})}.get("context_tokens", math.inf)
        try:
            return float(found)
        except (TypeError, ValueError):
            return math.inf  # its own mistake is told where it stands

    def _behaviour(self, tier: str, found: Any, window_tokens: float) -> Any:
        path = ("tiers", tier, "behaviour")
        like = found.get("like", "coding-agent") if isinstance(found, dict) else found
        own = {k: v for k, v in found.items() if k != "like"} if isinstance(found, dict) else {}
        if isinstance(like, dict):  # of a file
            self.tree.lend((*path, "like"), path, like.keys() - own.keys())
            return {**lookup.behaviour("coding-agent", window_tokens), **like, **own}
        if not isinstance(like, str) or not lookup.behaviour(like):
            self.add([(path, str(like), f"no behaviour of that name; {nearest(str(like), lookup.behaviour_names())}")])
            like = "coding-agent"
        return {**lookup.behaviour(like, window_tokens), **own}


def _horizon_days(start: Any, count: int, unit: str) -> int:
    from ampacity.base.calendar import add_months

    if unit in ("d", "day", "week"):
        return count * (7 if unit == "week" else 1)
    try:
        first = date.fromisoformat(str(start))
    except ValueError:
        first = date(2026, 1, 1)  # the start's own mistake is told where it stands
    try:
        return (add_months(first, count * (12 if unit == "year" else 1)) - first).days
    except ValueError:
        return MAX_HORIZON_DAYS + 1


def _take_in(tree: Tree, folder: Path) -> None:
    """The content of files that the tree names, in the place of their names; paths count from `folder`."""
    calibration_file.take_in(tree, folder)
    behaviour_file.take_in(tree, folder)


def _with_extends(name: str, beside: Path | None, chain: tuple[Path, ...]) -> Tree:
    path, shown = _locate(name, beside)
    known = nearest(path.stem, lookup.scenario_names())
    tree = read_tree(path, shown, missing=f"no such file, and no packaged scenario of that name; {known}")
    _take_in(tree, path.parent)
    chain = (*chain, path.resolve())
    below = tree.data.pop("extends", None)
    if below is None:
        return tree
    if not isinstance(below, str):
        file, line = tree.mark(("extends",))
        raise Mistakes([Mistake(file, line, "extends", str(below), "expected one path or packaged name")])
    base, _ = _locate(below, path.parent)
    file, line = tree.mark(("extends",))
    if not _is_there(base):
        known = nearest(below, lookup.scenario_names())
        raise Mistakes([Mistake(file, line, "extends", below, f"no such file or packaged scenario; {known}")])
    if base.resolve() in chain:
        circle = " -> ".join(p.name for p in (*chain[chain.index(base.resolve()) :], base))
        raise Mistakes([Mistake(file, line, "extends", below, f"goes round in a circle: {circle}")])
    return merged(_with_extends(below, path.parent, chain), tree)


def _is_there(path: Path) -> bool:
    """Whether a path leads to something to read; a name that no file could have leads nowhere, and so does a folder."""
    try:
        return path.exists() and not path.is_dir()
    except (OSError, ValueError):
        return False


def _locate(name: str, beside: Path | None) -> tuple[Path, str]:
    """The file meant by a name, and the name to show for it."""
    path = (beside / name) if beside else Path(name)
    if _is_there(path) or path.suffix in (".yaml", ".yml"):
        return path, path.name
    packaged = Path(str(lookup.scenario_path(name)))
    if _NAME.fullmatch(name) and _is_there(packaged):
        return packaged, packaged.name
    written = path.parent / f"{path.name}.yaml"
    return (written, written.name) if _NAME.fullmatch(name) and _is_there(written) else (path, name)


def _set(tree: Tree, text: str) -> None:
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise Mistakes([Mistake("--set", 0, text, "", "expected KEY=VALUE, such as sites.here.pue=1.15")])
    plain: Any = value.strip()
    for kind in (int, float):
        try:
            plain = kind(plain)
            break
        except ValueError:
            continue
    plain = {"true": True, "false": False, "null": None}.get(str(plain), plain)
    _lay(tree, tuple(key.strip().split(".")), plain, "--set")


def _lay(tree: Tree, path: Key, value: object, origin: str) -> None:
    into: Any = tree.data
    for i, part in enumerate(path[:-1]):
        if isinstance(into, list) and part.isdigit() and int(part) < len(into):
            into = into[int(part)]
            continue
        if not isinstance(into, dict):
            raise Mistakes([Mistake(origin, 0, ".".join(path), "", f'"{path[i - 1]}" has no keys')])
        if part not in into and _names_things(path[:i]) and into:
            message = f"nothing of that name to change; {nearest(part, into)}"
            raise Mistakes([Mistake(origin, 0, ".".join(path[: i + 1]), "", message)])
        if into.get(part) is None:
            into[part] = {}
        if isinstance(into[part], str) and len(path) == 4 and (path[0], part) == ("tiers", "behaviour"):
            into[part] = {"like": into[part]}  # one key of a behaviour that is stated by its name
        into = into[part]
    if isinstance(into, list) and path[-1].isdigit() and int(path[-1]) < len(into):
        into[int(path[-1])] = value
    elif isinstance(into, dict) and value is None:
        into.pop(path[-1], None)  # as null does where one file is laid over another
    elif isinstance(into, dict):
        into[path[-1]] = value
    else:
        raise Mistakes([Mistake(origin, 0, ".".join(path), "", f'"{path[-2]}" has no keys')])
    tree.marks[path] = (origin, 0)


def _names_things(path: Key) -> bool:
    """Whether the keys at a path are names of the scenario's own things, which no change of one key brings forth."""
    own = len(path) == 1 and path[0] in COLLECTIONS and path[0] not in ("accelerators", "models", "events")
    return own or (len(path) == 3 and path[0] == "limits" and path[2] == "windows")


def _preset(reference: str) -> dict[str, Any]:
    """The limit named PRESET/TIER, empty if there is none (consistency reports it)."""
    preset, _, tier = reference.partition("/")
    if preset not in lookup.preset_names():
        return {}
    limits = read_tree(Path(str(lookup.preset_path(preset))), preset).data["limits"]
    found: dict[str, Any] = limits.get(tier, {})
    return found


def _fields_of(collection: Any) -> list[dict[str, Any]]:
    return [f for f in collection.values() if isinstance(f, dict)] if isinstance(collection, dict) else []


def _copy(data: Any) -> Any:
    if isinstance(data, dict):
        return {k: _copy(v) for k, v in data.items()}
    return [_copy(v) for v in data] if isinstance(data, list) else data
