"""The documentation says what the program does: its code runs, its tables are complete, its words fit any machine."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ampacity.cli import app

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "docs" / "rooms").glob("*.md"))]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?")
CLOSE = 0.02
"""How far, relatively, a printed number may lie from the page's."""


def blocks(page: Path) -> list[tuple[str, str]]:
    """Language and text of every fenced block."""
    return [(m[1], m[2]) for m in FENCE.finditer(page.read_text(encoding="utf-8"))]


def runs(page: Path) -> bool:
    return any(language in ("python", "console", "yaml") for language, _ in blocks(page))


def as_id(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def commands(text: str) -> Iterator[tuple[str, list[str]]]:
    """Every `$ command` of a console block with the lines that the page shows of its output."""
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, _, shown = part.partition("\n")
        yield command, [line for line in shown.splitlines() if line.strip()]


def printed(line: str, output: str) -> bool:
    """Whether some line of the output begins with these words, numbers taken loosely."""
    words = [re.escape(part.strip()) for part in re.split(NUMBER, " ".join(line.split()))]
    pattern = re.compile(r"\s*(\d[\d,]*(?:\.\d+)?)\s*".join(words))
    wanted = [float(n.replace(",", "")) for n in NUMBER.findall(line)]
    for candidate in output.splitlines():
        if match := pattern.match(" ".join(candidate.split())):
            found = [float(n.replace(",", "")) for n in match.groups()]
            if all(abs(a - b) <= CLOSE * abs(a) for a, b in zip(wanted, found, strict=True)):
                return True
    return False


@pytest.mark.parametrize("page", [p for p in PAGES if runs(p)], ids=as_id)
def test_every_block_of_a_page_runs(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ampacity: Callable[..., Any]
) -> None:
    """The blocks of a page run in turn, in one empty folder; files that it shows are there for what follows."""
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "page"}
    for language, text in blocks(page):
        if language == "python":
            exec(compile(text, as_id(page), "exec"), names)
        elif language == "console":
            for command, shown in commands(text):
                run_command(ampacity, command, shown)
        elif language == "yaml":
            check_file(text)


def run_command(ampacity: Callable[..., Any], command: str, shown: list[str]) -> None:
    """A command succeeds, or fails where the page shows mistakes; every line that the page shows is printed."""
    program, *arguments = shlex.split(command)
    assert program == "ampacity", command
    done = ampacity(*arguments)
    expected = 1 if any(re.search(r": \d+ mistakes?$", line) for line in shown) else 0
    assert done.returncode == expected, f"$ {command}\n{done.stdout}{done.stderr}"
    for line in shown:
        assert printed(line, done.stdout + done.stderr), f"$ {command}\nnot printed: {line}\n{done.stdout}{done.stderr}"


def check_file(text: str) -> None:
    """A block that begins `# scenario: FILE` is whole and right; one that begins `# mistakes: FILE` is whole and wrong.

    Other blocks are parts of a file.
    """
    match = re.match(r"# (scenario|mistakes): (\S+\.yaml)\n", text)
    if match:
        Path(match[2]).write_text(text, encoding="utf-8")
        done = CliRunner().invoke(app, ["check", match[2]])
        assert done.exit_code == (0 if match[1] == "scenario" else 1), done.output


@pytest.mark.parametrize(
    ("shown", "output", "same"),
    [
        ("room for 42.7 people", "  room for  42.9 people at today's use", True),
        ("room for 42.7 people", "room for 49 people", False),
        ("room for 42.7 people", "space for 42.7 people", False),
        ("1,275 W", "1,270 W", True),
    ],
)
def test_a_shown_line_may_differ_a_little_in_its_numbers_but_in_no_word(shown: str, output: str, same: bool) -> None:
    assert printed(shown, output) == same


def rooms_with_code() -> list[str]:
    rooms = (path for path in (ROOT / "src" / "ampacity").iterdir() if path.is_dir() and path.name != "__pycache__")
    return sorted(
        room.name for room in rooms if room.name == "catalog" or any(f.name != "__init__.py" for f in room.glob("*.py"))
    )


def test_every_room_with_code_has_a_page_and_every_page_a_room() -> None:
    assert sorted(page.stem for page in (ROOT / "docs" / "rooms").glob("*.md")) == rooms_with_code()


def test_every_link_in_the_texts_of_the_root_leads_somewhere() -> None:
    for name in ("README.md", "CONTRIBUTING.md"):
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", (ROOT / name).read_text(encoding="utf-8")):
            assert (ROOT / target).exists(), f"{name}: {target}"


def test_the_readmes_table_has_the_commands_that_help_lists(ampacity: Callable[..., Any]) -> None:
    helped = ampacity("--help").stdout.partition("Commands:")[2]
    listed = re.findall(r"^  ([a-z]+) ", helped, re.MULTILINE)
    tabled = re.findall(r"^\| `ampacity ([a-z]+)", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert listed
    assert sorted(tabled) == sorted(listed)


CODE = ROOT / "src", ROOT / "tests", ROOT / "benchmarks"
NAMED_FILE = re.compile(r"`((?:[\w-]+/)*\w+\.py)`")
NAMED_TEST = re.compile(r"`((?:[\w-]+/)*test_\w+\.py)`")


def code_files(name: str) -> list[Path]:
    """Files of the program, its tests or its benchmarks whose path ends with a name."""
    wanted = Path(name).parts
    found = (path for folder in CODE for path in folder.rglob(wanted[-1]))
    return [path for path in found if path.relative_to(ROOT).parts[-len(wanted) :] == wanted]


@pytest.mark.parametrize("page", [p for p in PAGES if NAMED_FILE.search(p.read_text(encoding="utf-8"))], ids=as_id)
def test_every_python_file_that_a_page_names_is_there_and_every_test_is_one_alone(page: Path) -> None:
    named = set(NAMED_FILE.findall(page.read_text(encoding="utf-8")))
    assert [name for name in sorted(named) if not code_files(name)] == []
    tests = [name for name in sorted(named) if NAMED_TEST.fullmatch(f"`{name}`")]
    assert {name: found for name in tests if len(found := code_files(name)) > 1} == {}


def test_every_word_of_the_program_in_a_row_of_the_validation_page_stands_in_the_tests_of_that_row() -> None:
    checked, missing = 0, []
    for line in (ROOT / "docs" / "validation.md").read_text(encoding="utf-8").splitlines():
        row, _, tests = line.rstrip("| ").rpartition("|")
        files = [path for name in NAMED_TEST.findall(tests) for path in code_files(name)]
        text = "".join(path.read_text(encoding="utf-8") for path in files)
        words = re.findall(r"`(\w+)`", row) if files else []
        checked += len(words)
        missing += [f"{word}: {tests.strip()}" for word in words if not re.search(rf"\b{word}\b", text)]
    assert missing == []
    assert checked > 15


# spelled in pieces, so that this file does not find itself
MACHINE_PATH = re.compile(
    r"(?<![\w.:/$})-])/(?:" + "|".join(("work", "root", "home", "Users", "mnt", "tmp", "workspace")) + r")/\w"
)
BUILT = {"build", "dist", "site", "venv", "node_modules", "__pycache__"}
HIDDEN = {".ci", ".github", ".gitignore"}


def written_files() -> Iterator[Path]:
    """Files that people wrote: no caches, nothing built, nothing hidden but what the repository keeps hidden."""
    for folder, below, files in os.walk(ROOT):
        own = [d for d in below if d not in BUILT and (not d.startswith(".") or d in HIDDEN)]
        below[:] = [d for d in own if not d.endswith(".egg-info")]
        yield from (Path(folder, f) for f in files if not f.startswith(".") or f in HIDDEN)


def test_no_file_names_a_path_of_somebodys_machine() -> None:
    found = []
    for path in written_files():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        found += [f"{as_id(path)}: {line.strip()[:100]}" for line in text.splitlines() if MACHINE_PATH.search(line)]
    assert found == []
