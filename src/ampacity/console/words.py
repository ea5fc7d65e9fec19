"""What an operator may type after `--admin`, and what is answered."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

from ampacity.base.units import UnitError, to_base
from ampacity.console import views
from ampacity.console.operator import Move, Operator
from ampacity.scenario.mistakes import nearest

KNOWN = """status                              pools, queue, counts
keys list | add NAME [--tier T] [--organization O] [--product P] | revoke KEY-OR-NAME
subscribers list | set NAME [--tier T] [--organization O]     "-" for none
organizations list | set NAME --limit L | remove NAME
limits                              every window, and who has it
near [--top N]                      who is nearest to a limit
use [--hours H]                     tokens by subscriber
explain NAME-OR-REQUEST-ID          why was this refused
refusals [NAME]                     the latest, with the ids of their requests
audit                               what operators did
versions                            when which terms came into force
hold POOL | drain POOL --deadline 10m | reopen POOL | reclaim POOL [--deadline 10m]
backup FOLDER                       copies of journals and keys as they are now
forget --before 90d                 delete what is older from the journals; windows keep what is used
reload                              plan the scenario's file again and go by that; streams go on
reload FILE                         the same by terms in a file of JSON; checkpoint; stop"""
DAY_S = 86_400
NOTHING_SAID = "say what to do after --admin:"
MOVES = ("hold", "drain", "reopen", "reclaim")
Answer = tuple[Any, str]


class NotUnderstood(ValueError):
    """Words after `--admin` that are none; says what would be."""


def do(operator: Operator, words: Sequence[str]) -> Answer:
    """Do what the words say: the answer as data and as text. Raises NotUnderstood, and what the operator does."""
    plain, options = _apart(words)
    if not plain:
        raise NotUnderstood(f"{NOTHING_SAID}\n{KNOWN}")
    verb, rest = plain[0], plain[1:]
    if verb in MOVES:
        _takes(verb, options, "deadline")
        deadline_s = _seconds("--deadline", options["deadline"]) if "deadline" in options else None
        found = operator.move(cast(Move, verb), _one(verb, rest, "POOL"), deadline_s)
        return found, views.pool_view(found)
    known: dict[str, Callable[[Operator, list[str], dict[str, str]], Answer]] = {
        "status": _status,
        "keys": _keys,
        "subscribers": _subscribers,
        "organizations": _organizations,
        "limits": _limits,
        "near": _near,
        "use": _use,
        "explain": _explain,
        "refusals": _refusals,
        "audit": _audit,
        "versions": _versions,
        "reload": _reload,
        "backup": _backup,
        "forget": _forget,
        "checkpoint": _checkpoint,
        "stop": _stop,
    }
    if verb not in known:
        raise NotUnderstood(f"{verb!r}: {nearest(verb, [*known, *MOVES])}\n{KNOWN}")
    return known[verb](operator, rest, options)


def _status(operator: Operator, rest: list[str], options: dict[str, str]) -> Answer:
    _takes("status", options)
    found = operator.status()
    return found, views.status_view(found)


def _keys(operator: Operator, rest: list[str], options: dict[str, str]) -> Answer:
    match rest:
        case [] | ["list"]:
            _takes("keys list", options)
            found = operator.keys()
            return found, views.keys_view(found)
        case ["add", name]:
            _takes("keys add", options, "tier", "organization", "product")
            made = operator.make_key(name, options.get("tier"), options.get("organization"), options.get("product", ""))
            return made, views.made_view(made)
        case ["revoke", what]:
            _takes("keys revoke", options)
            gone = operator.revoke(what)
            return gone, "revoked\n" + views.keys_view(gone)
    raise NotUnderstood("keys: expected list, add NAME or revoke KEY-OR-NAME")


def _subscribers(operator: Operator, rest: list[str], options: dict[str, str]) -> Answer:
    match rest:
        case [] | ["list"]:
            _takes("subscribers list", options)
            found = operator.subscribers()
            rows = ((s["name"], s["tier"], s["organization"] or "-", s["keys"]) for s in found)
            return found, "\n".join(views.table(("subscriber", "tier", "organization", "keys"), rows))
        case ["set", name]:
            _takes("subscribers set", options, "tier", "organization")
            organization = options.get("organization")
            moved = operator.set_subscriber(name, options.get("tier"), "" if organization == "-" else organization)
            note = f"; {moved['note']}" if "note" in moved else ""
            return moved, f"{name}: tier {moved['tier']}, organization {moved['organization'] or 'none'}{note}"
    raise NotUnderstood("subscribers: expected list, or set NAME with --tier or --organization")


def _organizations(operator: Operator, rest: list[str], options: dict[str, str]) -> Answer:
    match rest:
        case [] | ["list"]:
            _takes("organizations list", options)
            found = operator.limits()["organizations"]
            return found, "\n".join(views.table(("organization", "limit"), found.items()))
        case ["set", name] if "limit" in options:
            _takes("organizations set", options, "limit")
            return operator.set_organization(name, options["limit"]), f"{name}: limit {options['limit']}"
        case ["remove", name]:
            _takes("organizations remove", options)
            return operator.remove_organization(name), f"{name}: removed; one of the same name later has what it used"
    raise NotUnderstood("organizations: expected list, set NAME --limit LIMIT, or remove NAME")


def _limits(operator: Operator, rest: list[str], options: dict[str, str]) -> Answer:
    _takes("limits", options)
    found = operator.limits()
    return found, views.limits_view(found)


def _near(operator: Operator, rest: list[str], options: dict[str, str]) -> Answer:
    _takes("near", options, "top")
    found = operator.near(int(_number("--top", options.get("top", "20"))))
    return found, views.near_view(found)


def _use(operator: Operator, rest: list[str], options: dict[str, str]) -> Answer:
    _takes("use", options, "hours")
    hours = _number("--hours", options.get("hours", "24"))
    found = operator.use(hours)
    return found, views.use_view(found, hours)


def _explain(operator: Operator, rest: list[str], options: dict[str, str]) -> Answer:
    _takes("explain", options)
    found = operator.explain(_one("explain", rest, "NAME or request id"))
    return found, views.explain_view(found)


def _refusals(operator: Operator, rest: list[str], options: dict[str, str]) -> Answer:
    _takes("refusals", options)
    found = operator.refusals(rest[0] if rest else None)
    return found, "\n".join(views.refusal_rows(found))


def _audit(operator: Operator, rest: list[str], options: dict[str, str]) -> Answer:
    _takes("audit", options)
    found = operator.audit()
    return found, views.audit_view(found)


def _versions(operator: Operator, rest: list[str], options: dict[str, str]) -> Answer:
    _takes("versions", options)
    found = operator.versions()
    return found, "\n".join(views.table(("since", "terms"), ((views.clock(v["now_ms"]), v["terms"]) for v in found)))


def _reload(operator: Operator, rest: list[str], options: dict[str, str]) -> Answer:
    _takes("reload", options)
    if rest:
        answer = operator.change_terms(Path(_one("reload", rest, "FILE")).read_text(encoding="utf-8"))
    else:
        answer = operator.reload()
    without = f", planned without {', '.join(answer['without'])}" if answer.get("without") else ""
    return answer, f"terms {answer['terms']} are in force{without}: {answer['changed']}; what is used stays used"


def _backup(operator: Operator, rest: list[str], options: dict[str, str]) -> Answer:
    _takes("backup", options)
    made = operator.backup(Path(_one("backup", rest, "FOLDER")))
    return {"files": [str(path) for path in made]}, "\n".join(f"copied to {path}" for path in made)


def _forget(operator: Operator, rest: list[str], options: dict[str, str]) -> Answer:
    _takes("forget", options, "before")
    if rest or "before" not in options:
        raise NotUnderstood("forget: expected --before and an age, as in: forget --before 90d")
    age_s = _seconds("--before", options["before"])
    if age_s < DAY_S:
        raise NotUnderstood(f"forget --before {options['before']}: {views.duration(age_s)} is too near; a day at least")
    rows = operator.forget(age_s)
    return {"rows": rows}, f"{rows:,} rows are gone; the files keep their size and use it again"


def _checkpoint(operator: Operator, rest: list[str], options: dict[str, str]) -> Answer:
    answer = operator.checkpoint()
    return answer, f"written; on disk to event {answer['durable']:,}"


def _stop(operator: Operator, rest: list[str], options: dict[str, str]) -> Answer:
    operator.stop()
    return {"stopping": True}, "answers end, then it stops"


def _apart(words: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """Words, and options with their values: `--tier pro` or `--tier=pro`."""
    plain: list[str] = []
    options: dict[str, str] = {}
    left = list(words)
    while left:
        word = left.pop(0)
        if not word.startswith("--"):
            plain.append(word)
            continue
        name, equals, value = word[2:].partition("=")
        if not equals:
            if not left:
                raise NotUnderstood(f"--{name}: expected a value after it")
            value = left.pop(0)
        options[name] = value
    return plain, options


def _takes(verb: str, options: dict[str, str], *known: str) -> None:
    for name in options:
        if name not in known:
            words = f"it takes {', '.join(f'--{k}' for k in known)}" if known else "it takes no option"
            raise NotUnderstood(f"{verb} --{name}: {words}")


def _one(verb: str, rest: list[str], what: str) -> str:
    if len(rest) != 1:
        raise NotUnderstood(f"{verb}: {len(rest)} names, expected one {what}")
    return rest[0]


def _number(option: str, text: str) -> float:
    try:
        found = float(text)
    except ValueError:
        found = 0.0
    if not 0 < found < 1e6:
        raise NotUnderstood(f"{option} {text!r}: expected a number above 0")
    return found


def _seconds(option: str, text: str) -> float:
    """A duration such as 10m, 90 s or 2 h."""
    written = text.strip()
    if written.endswith("m") and not written.endswith("mm"):
        written += "in"  # people write 10m for minutes; a metre has no place here
    try:
        seconds = to_base(written, "duration")
    except UnitError as err:
        raise NotUnderstood(f"{option} {text!r}: {err}; for example 90s, 10m, 2h, 90d") from err
    if seconds < 0:
        raise NotUnderstood(f"{option} {text!r}: expected no negative time")
    return float(seconds)
