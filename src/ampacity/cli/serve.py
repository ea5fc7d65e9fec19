"""`ampacity serve`: the limits of a scenario, enforced on real traffic; with `--admin`, an operator's words to it."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ampacity.cli.options import Json, Quiet, Seed, Sets

if TYPE_CHECKING:
    from ampacity.console.folder import Folder
    from ampacity.console.supervise import Service

WORDS = {"ignore_unknown_options": True}  # those that follow --admin have options of their own


class Durability(StrEnum):
    """What a settled answer survives."""

    NORMAL = "normal"
    FULL = "full"


def serve(
    scenario: Annotated[
        str, typer.Argument(metavar="SCENARIO", help="A YAML file, a packaged scenario, or a state folder.")
    ],
    words: Annotated[
        list[str] | None, typer.Argument(metavar="[WORDS]", help="Of --admin: what to do; alone: what there is.")
    ] = None,
    emulate: Annotated[bool, typer.Option("--emulate", help="Let processes of this machine play the pools.")] = False,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Of the gateway; 0 for any.")] = 8080,
    admin_port: Annotated[int, typer.Option("--admin-port", min=0, max=65535, help="Of the admin API.")] = 8081,
    host: Annotated[str, typer.Option("--host", help="Of the gateway: the address to listen on.")] = "127.0.0.1",
    admin_host: Annotated[str, typer.Option("--admin-host", help="Of the admin API.")] = "127.0.0.1",
    folder: Annotated[Path | None, typer.Option("--folder", help="For keys, journal and settings: NAME.serve.")] = None,
    durability: Annotated[
        Durability, typer.Option("--durability", help="What use survives: normal a crash, full the loss of power.")
    ] = Durability.NORMAL,
    workers: Annotated[
        int,
        typer.Option(
            "--workers", min=1, max=64, help="Data processes that share the port; each has its own subscribers."
        ),
    ] = 1,
    admin: Annotated[bool, typer.Option("--admin", help="Speak to what runs: status, keys, limits, drain ...")] = False,
    sets: Sets = None,
    seed: Seed = 1,
    json: Json = None,
    quiet: Quiet = False,
) -> None:
    """Enforce the limits of a scenario on real traffic, over its own pools or emulated ones."""
    from ampacity.console.folder import folder_of, served

    state = folder_of(scenario, folder)
    if workers > 1:
        _can_share(admin)
    if admin and not words:
        from ampacity.console.words import KNOWN, NOTHING_SAID

        typer.echo(f"{NOTHING_SAID}\n{KNOWN}", err=True)
        raise typer.Exit(2)
    if admin:
        _speak(served(state), words or [], json, quiet=quiet)
        return
    if words:
        raise typer.BadParameter(f'"{" ".join(words)}": words follow only --admin', param_hint="WORDS")
    if Path(scenario).is_dir():
        raise typer.BadParameter("a state folder is spoken to with --admin; serve a scenario", param_hint="SCENARIO")
    from ampacity.console.supervise import How, Service, running

    if (there := running(state)) is not None:
        words_ = f"process {there['process']} serves from {state.path} already; speak to it with --admin"
        raise typer.BadParameter(words_, param_hint="SCENARIO")
    how = How(
        scenario,
        tuple(sets or ()),
        seed,
        emulate=emulate,
        host=host,
        port=port,
        admin_host=admin_host,
        admin_port=admin_port,
        durability=durability.value,
        workers=workers,
    )
    quiet = quiet or json == "-"
    service = Service(
        state,
        how,
        say=lambda said: None if quiet else typer.echo(said),
        complain=lambda said: typer.echo(said, err=True),
    )
    _start(service, json, quiet=quiet)
    raise typer.Exit(service.watch())


def _can_share(admin: bool) -> None:
    """Several data processes need a service that begins, and a system on which they can share a port."""
    import sys

    if admin:
        words = "a service that runs has as many as it began with; leave it out after --admin"
    elif sys.platform != "linux":
        words = "several processes share a port on Linux alone; serve with one here"
    else:
        return
    raise typer.BadParameter(words, param_hint="--workers")


def _start(service: Service, json: str | None, *, quiet: bool) -> None:
    """Start everything, and say how to use it; what cannot be served ends in words and exit code 1."""
    from ampacity.cli.screen import write_json
    from ampacity.console.planned import NotPlanned
    from ampacity.console.ready import ready_data, ready_lines

    try:
        service.start()
    except NotPlanned as err:
        typer.echo(str(err), err=True)
        raise typer.Exit(1) from None
    write_json(json, ready_data(service))
    if json not in (None, "-"):
        Path(json).chmod(0o600)  # a key is in it
    if not quiet:
        typer.echo("\n".join(ready_lines(service)))


def _speak(folder: Folder, words: list[str], json: str | None, *, quiet: bool) -> None:
    """Do what the words after --admin say; mistakes end with exit code 2, what cannot be done with 1."""
    from getpass import getuser

    from ampacity.cli.screen import write_json
    from ampacity.console.ask import NotDone
    from ampacity.console.keys import KeyMistake
    from ampacity.console.operator import Operator
    from ampacity.console.planned import NotPlanned
    from ampacity.console.words import NotUnderstood, do
    from ampacity.policy.rows import LimitError
    from ampacity.policy.terms import TermsError

    try:
        data, text = do(Operator(folder, getuser()), words)
    except NotUnderstood as err:
        typer.echo(str(err), err=True)
        raise typer.Exit(2) from None
    except (NotDone, NotPlanned, KeyMistake, TermsError, LimitError) as err:
        typer.echo(str(err), err=True)
        raise typer.Exit(1) from None
    write_json(json, data)
    if json != "-" and not quiet:
        typer.echo(text)
