"""The commands: one thin file each. Nothing heavy is imported before a command runs, so `--help` is instant."""

from __future__ import annotations

import sys

import typer

from ampacity.cli import calibrate, check, compare, init, plan, report, run, serve, show, simulate

app = typer.Typer(
    name="ampacity",
    help="What usage limits can this AI compute carry, and what happens to them when the compute changes?",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
for command in (init.init, run.run, check.check, plan.plan, simulate.simulate, compare.compare, report.report):
    app.command()(command)
app.command(context_settings=serve.WORDS)(serve.serve)
app.add_typer(calibrate.app, name="calibrate")
app.add_typer(show.app, name="show")


@app.callback(invoke_without_command=True)
def ampacity(
    context: typer.Context, version: bool = typer.Option(False, "--version", help="Say which version this is.")
) -> None:
    """What usage limits can this AI compute carry, and what happens to them when the compute changes?"""
    if version:
        from importlib.metadata import version as of

        typer.echo(f"ampacity {of('ampacity')}")
        raise typer.Exit


def main() -> None:
    """Run the command line; mistakes of the user end in words and exit code 1, never in a traceback."""
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(1)
    except (ValueError, OSError) as err:
        if not _is_users(err):
            raise
        typer.echo(_words(err), err=True)
        sys.exit(1)


def _is_users(err: ValueError | OSError) -> bool:
    from ampacity.scenario.mistakes import Mistakes

    return isinstance(err, Mistakes | OSError)


def _words(err: ValueError | OSError) -> str:
    if isinstance(err, OSError):
        return f"{err.filename or 'a file'}: {err.strerror or err}"
    return str(err)
