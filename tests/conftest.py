"""What tests share: running the command as people do, things of the catalog, and where shared traces lie."""

from __future__ import annotations

import fcntl
import hashlib
import io
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from ampacity.scenario.accelerator import Accelerator
from ampacity.scenario.catalog_nouns import catalog_accelerator, catalog_model
from ampacity.scenario.model import Model

# every run draws the same examples, and none is judged by how long it takes
settings.register_profile("ampacity", deadline=None, derandomize=True)
settings.load_profile("ampacity")

Ampacity = Callable[..., "subprocess.CompletedProcess[str]"]

# told to keep no bytecode, Python would compile all that is imported in each of the many processes that tests start
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
if "PYTEST_XDIST_WORKER" in os.environ:
    # workers share the processors already: what they run begins no more processes or threads unless a test says so;
    # a second thread of the linear algebra waits busily, which doubled the CPU time of a fit
    os.environ["PYTHON_CPU_COUNT"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"


LONGEST = ("mission", "docs")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The folders of the longest tests come first, so that none of them begins when all else is done."""
    items.sort(key=lambda item: item.path.parent.name not in LONGEST)


SCREEN = {"NO_COLOR": "1", "COLUMNS": "160"}


def in_a_process(folder: Path, *args: str, cores: int | None = None) -> subprocess.CompletedProcess[str]:
    """What `ampacity ARGS` does in a folder, in a process of its own. cores: that it takes itself to have."""
    command = [sys.executable, "-c", "from ampacity.cli import main; main()", *args]
    environment = {**os.environ, **SCREEN, **({"PYTHON_CPU_COUNT": str(cores)} if cores else {})}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False
    )


def in_this_process(folder: Path, *args: str) -> subprocess.CompletedProcess[str]:
    """The same without a new process, which would take a second or more to import what it needs."""
    from ampacity.cli import main

    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as here, redirect_stdout(out), redirect_stderr(err):
        here.chdir(folder)
        here.setattr(sys, "argv", ["ampacity", *args])
        for name, value in SCREEN.items():
            here.setenv(name, value)
        with pytest.raises(SystemExit) as left:
            main()
    return subprocess.CompletedProcess(args, int(left.value.code or 0), out.getvalue(), err.getvalue())


@pytest.fixture
def ampacity_process(tmp_path: Path) -> Ampacity:
    """Run `ampacity ARGS` in an empty folder, in a process of its own."""
    return lambda *args: in_a_process(tmp_path, *args)


@pytest.fixture
def ampacity(tmp_path: Path) -> Ampacity:
    """Run `ampacity ARGS` in an empty folder, in this process."""
    return lambda *args: in_this_process(tmp_path, *args)


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Callable[[Path], None]], Path]:
    """`once(name, make)`: the folder that `make` filled, once in these tests whichever worker came first.

    For what several tests read and none changes; it lies in the tests' own temporary folder.
    """
    own = tmp_path_factory.getbasetemp()
    root = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own

    def folder(name: str, make: Callable[[Path], None]) -> Path:
        path = root / "once" / name
        path.parent.mkdir(exist_ok=True)
        with path.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not path.exists():
                made = Path(tempfile.mkdtemp(dir=path.parent))
                make(made)
                made.rename(path)  # so that what failed half-way is not found
        return path

    return folder


@dataclass(frozen=True)
class Told:
    """What a command printed, and the JSON and the page that it wrote."""

    screen: str
    found: Any
    page: str


Answer = Callable[..., Any]


@pytest.fixture(scope="session")
def answered(once: Callable[[str, Callable[[Path], None]], Path]) -> Answer:
    """The JSON that `ampacity ARGS --json -` writes; the same words are asked once in these tests."""

    def found(*args: str) -> Any:
        def make(folder: Path) -> None:
            done = in_this_process(folder, *args, "--json", "-")
            assert done.returncode == 0, done.stderr
            (folder / "told.json").write_text(done.stdout)

        name = "told-" + hashlib.sha256("\0".join(args).encode()).hexdigest()[:16]
        return json.loads((once(name, make) / "told.json").read_text())

    return found


@pytest.fixture(scope="session")
def laptop_run(once: Callable[[str, Callable[[Path], None]], Path]) -> Told:
    """`ampacity run laptop --json out.json`, as it stands: all of its worlds, in processes of its own."""

    def make(folder: Path) -> None:
        done = in_a_process(folder, "run", "laptop", "--json", "out.json", cores=2)
        assert done.returncode == 0, done.stderr
        (folder / "screen.txt").write_text(done.stdout)

    at = once("laptop-run", make)
    return Told(
        (at / "screen.txt").read_text(), json.loads((at / "out.json").read_text()), (at / "laptop.html").read_text()
    )


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run `ampacity ARGS` in this process: exit code, standard output, standard error."""

    def run(*args: str) -> tuple[int, str, str]:
        from ampacity.cli import main

        monkeypatch.setattr(sys, "argv", ["ampacity", *args])
        with pytest.raises(SystemExit) as left:
            main()
        printed = capsys.readouterr()
        return int(left.value.code or 0), printed.out, printed.err

    return run


@pytest.fixture
def answer(ampacity: Ampacity) -> Callable[..., Any]:
    """The JSON that `ampacity ARGS --json -` writes."""

    def run(*args: str) -> Any:
        done = ampacity(*args, "--json", "-")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


@pytest.fixture(scope="session")
def calibration_text() -> Callable[..., str]:
    """A file that calibrates the laptop scenario's placement; named fields take the place of its own."""

    def text(**fields: object) -> str:
        own = {
            "kind": "serving",
            "date": "2026-11-22",
            "sources": ["own.csv"],
            "points": 4,
            "model": "llama-3.1-70b",
            "accelerator": "h100-sxm",
            "engine": "vllm",
            "precision": "fp8",
            "shifts": {"all": 0.2},
        }
        return "".join(f"{key}: {json.dumps(value)}\n" for key, value in {**own, **fields}.items())

    return text


@pytest.fixture(scope="session")
def model() -> Callable[[str], Model]:
    """A model of the catalog."""
    return catalog_model


@pytest.fixture(scope="session")
def chip() -> Callable[[str], Accelerator]:
    """A chip of the catalog."""
    return catalog_accelerator


@pytest.fixture(scope="session")
def shared() -> Callable[[str], Path]:
    """`shared("demand/mooncake/...")`: a file of the data that lies beside the project; the test skips without it."""
    root = Path(os.environ.get("AMPACITY_DATA") or Path(__file__).parents[2] / "shared" / "data")

    def find(name: str) -> Path:
        path = root / name
        if not path.exists():
            pytest.skip(f"no {name} beside the project (AMPACITY_DATA names another folder)")
        return path

    return find


CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """A real browser; the test skips where Debian's is not installed."""
    if not CHROMIUM.exists():
        pytest.skip(f"{CHROMIUM} is not there: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        yield browser
        browser.close()


SMALL_FLEET = """
scenario: small-fleet
start: 2026-06-01
horizon: 2 weeks
worlds: 1
service_level: {hours: 99 %, tpot: 50 ms}
sites:
  east: {time_zone: America/New_York, pue: 1.3, carbon: egrid-us, electricity: 60 USD/MWh}
  west: {time_zone: America/Los_Angeles, pue: 1.2, carbon: egrid-us, electricity: 60 USD/MWh}
contracts:
  idle:    # no model fits: a pool without replicas, before those that serve
    start: 2026-06-01
    deliveries: [{site: east, accelerator: h200-sxm, quantity: 8}]
    fee: {monthly: 10000 USD/month}
  bought:
    start: 2026-06-01
    deliveries:
      - {site: east, accelerator: h200-sxm, quantity: 64}
      - {site: west, accelerator: h100-sxm, quantity: 48}
      - site: west
        accelerator: a100-sxm
        quantity: 40
        ramp: [{date: 2026-06-01, quantity: 20}, {date: 2026-06-02, quantity: 40}]
    fee: {monthly: 200000 USD/month}
placements:
  small: {model: llama-3.1-8b, contract: bought, precision: bf16}
limits:
  team: {windows: {five-hour: {length: 5 h, tokens: 1 Mtoken}, weekly: {length: 7 d, tokens: 20 Mtoken}}}
tiers:
  developers: {people: 3000, model: llama-3.1-8b, limit: team, behaviour: {like: coding-agent}}
  chat: {kind: api, people: 20000, model: llama-3.1-8b, behaviour: {like: chat}}
"""


@pytest.fixture(scope="session")
def small_fleet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scenario of three pools, 152 small replicas, 10 cells: too many to look at every request."""
    path = tmp_path_factory.mktemp("scenario") / "small-fleet.yaml"
    path.write_text(SMALL_FLEET, encoding="utf-8")
    return path


class Int63(int):
    """An integer that refuses to leave 63 bits, whatever is computed with it."""


def _watched(name: str) -> Any:
    plain = getattr(int, name)

    def method(self: int, other: int) -> Any:
        result = plain(self, other)
        if result is NotImplemented:
            return result
        assert -(2**63) <= result < 2**63, f"{int(self)} {name} {int(other)}"
        return Int63(result)

    return method


for _name in ("add", "sub", "mul", "floordiv", "mod", "lshift", "rshift", "or", "and"):
    setattr(Int63, f"__{_name}__", _watched(f"__{_name}__"))
    setattr(Int63, f"__r{_name}__", _watched(f"__r{_name}__"))
Int63.__neg__ = lambda self: Int63(-int(self))  # type: ignore[method-assign]


@pytest.fixture(scope="session")
def watched() -> type[Int63]:
    """Whole numbers that fail where a kernel's would overflow."""
    return Int63
