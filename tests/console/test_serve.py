"""`ampacity serve` as whoever runs it meets it: what it prints works, what dies comes back, what ends is gone."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ampacity.cli import app
from ampacity.console.folder import Folder
from ampacity.console.operator import Operator

AMPACITY = [sys.executable, "-c", "from ampacity.cli import main; main()"]
READY_S = 60
SCENARIOS = Path(str(files("ampacity.catalog"))) / "scenarios"


@dataclass
class Served:
    """A running `ampacity serve`."""

    process: subprocess.Popen[str]
    said: str
    folder: Folder

    @property
    def operator(self) -> Operator:
        return Operator(self.folder)

    def found(self, pattern: str) -> str:
        """The first group of a pattern in what was printed."""
        match = re.search(pattern, self.said)
        assert match is not None, self.said
        return match[1]


def ampacity(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [*AMPACITY, *words]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=60)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, model_url: str, served_here: Any) -> Iterator[Served]:
    """A service of a scenario in a file of one's own."""
    cwd = tmp_path_factory.mktemp("serve")
    (cwd / "laptop.yaml").write_text((SCENARIOS / "laptop.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    with served_here(cwd, "laptop.yaml", "--set", f"placements.code.endpoint={model_url}") as (process, said):
        found = Served(process, said, Folder(cwd / "laptop.serve"))
        ask_as_demo(found)  # so that there is use, whichever tests this process runs
        yield found


def ask_as_demo(served: Served) -> None:
    """One request with the demonstration key."""
    body = json.dumps({"model": "default", "max_tokens": 9, "messages": []}).encode()
    request = urllib.request.Request(served.found(r"gateway\s+(\S+)") + "/v1/messages", body)
    request.add_header("x-api-key", served.found(r"key\s+(sk-amp-\S+)"))
    with urllib.request.urlopen(request, timeout=20) as answer:
        assert answer.status == 200


def run_curl(served: Served) -> dict[str, object]:
    line = served.found(r"curl:\n\s+(curl .*)\n")
    done = subprocess.run(shlex.split(line), capture_output=True, text=True, timeout=20)
    answer: dict[str, object] = json.loads(done.stdout)
    return answer


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed here")
def test_the_printed_curl_line_works_as_it_stands(served: Served) -> None:
    assert run_curl(served)["usage"] == {"input_tokens": 100, "output_tokens": 20}


def test_the_printed_lines_of_clients_name_the_address_and_the_key(served: Served) -> None:
    base, key = served.found(r"gateway\s+(\S+)"), served.found(r"key\s+(sk-amp-\S+)")
    claude = served.found(r"Claude Code:\n\s+(.*)\n")
    assert claude.startswith(f"ANTHROPIC_BASE_URL={base} ANTHROPIC_API_KEY={key} ")
    assert claude.endswith("claude --model llama-3.1-70b")
    assert f'anthropic.Anthropic(base_url="{base}", api_key="{key}")' in served.said
    assert f'openai.OpenAI(base_url="{base}/v1", api_key="{key}")' in served.said


def test_the_folder_is_its_owners_alone(served: Served) -> None:
    assert served.folder.path.stat().st_mode & 0o77 == 0
    for name in ("admin-token", "settings.json", "terms.json", "keys", "admin.json"):
        assert (served.folder.path / name).stat().st_mode & 0o77 == 0, name


def test_the_admin_api_answers_where_it_says(served: Served) -> None:
    request = urllib.request.Request(served.found(r"admin\s+(http\S+)") + "/api/status")
    request.add_header("authorization", f"Bearer {served.folder.read_token()}")
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert json.load(answer)["scenario"] == "laptop"


@pytest.mark.parametrize(
    ("words", "code", "seen"),
    [
        ("status", 0, "server/here/h100-sxm"),
        ("keys list", 0, "in force"),
        ("keys add carl --tier tools", 0, "sk-amp-"),
        ("limits", 0, "five-hour"),
        ("use", 0, "demo"),
        ("explain demo", 0, "would be admitted"),
        ("explain nobody", 1, "'nobody': no subscriber and no organization has that name"),
        ("keys add dan --tier nope", 1, "expected one of developers, tools"),
        ("keys", 0, "demo"),
        ("kesy", 2, 'the nearest is "keys"'),
        ("drain there --deadline 10m", 1, "expected one of server/here/h100-sxm"),
        ("drain there --deadline 10kg", 2, "90s, 10m, 2h"),
        ("organizations", 0, "none"),
        ("organizations remove acme", 1, "none yet"),
        ("audit", 0, "key made"),
    ],
)
def test_an_operators_words_in_the_terminal(served: Served, words: str, code: int, seen: str) -> None:
    typed = ["serve", "laptop.yaml", "--folder", str(served.folder.path), "--admin", *words.split()]
    done = CliRunner().invoke(app, typed)
    assert done.exit_code == code, done.output
    assert seen in (done.stdout if code == 0 else done.stderr)


def test_words_in_a_terminal_of_its_own(served: Served) -> None:
    words = ["keys", "add", "eve", "--tier", "nope"]
    done = ampacity("serve", "laptop.yaml", "--admin", *words, cwd=served.folder.path.parent)
    assert done.returncode == 1 and done.stderr == "tier 'nope': expected one of developers, tools\n"


def test_words_as_json_and_by_folder(served: Served) -> None:
    done = ampacity("serve", "laptop.serve", "--admin", "status", "--json", "-", cwd=served.folder.path.parent)
    assert json.loads(done.stdout)["scenario"] == "laptop"


@pytest.mark.slow
def test_an_edited_scenario_comes_into_force_without_a_restart(served: Served) -> None:
    path = served.folder.path.parent / "laptop.yaml"
    before, process = path.read_text(encoding="utf-8"), served.operator.status()["process"]
    path.write_text(before.replace("five-hour: {length: 5 h,", "five-hour: {length: 5 h, tokens: 2 Mtoken,"))
    done = ampacity("serve", "laptop.yaml", "--admin", "reload", cwd=path.parent)
    assert done.returncode == 0, done.stderr
    windows = served.operator.standing("demo")["models"]["llama-3.1-70b"]["windows"]
    assert windows[0]["size"] == 2e6 and served.operator.status()["process"] == process
    path.write_text(before.replace("people: 50", "people: 50 kg"))
    done = ampacity("serve", "laptop.yaml", "--admin", "reload", cwd=path.parent)
    assert done.returncode == 1 and "tiers.developers.people" in done.stderr
    path.write_text(before)


def test_a_second_service_of_one_folder_is_turned_away(served: Served) -> None:
    done = ampacity("serve", "laptop.yaml", "--emulate", "--port", "0", cwd=served.folder.path.parent)
    assert done.returncode == 2 and "serves from" in done.stderr


def test_a_port_that_is_taken_is_named(served: Served, tmp_path: Path, model_url: str) -> None:
    port = served.found(r"gateway\s+http://127.0.0.1:(\d+)")
    sets = f"placements.code.endpoint={model_url}"
    done = ampacity("serve", "laptop", "--set", sets, "--port", port, cwd=tmp_path)
    assert done.returncode == 1 and f"--port: {port}" in done.stderr and "in use" in done.stderr


def test_two_services_cannot_share_a_port(tmp_path: Path) -> None:
    done = ampacity("serve", "our-lab", "--port", "18099", "--admin-port", "18099", cwd=tmp_path)
    assert done.returncode == 1 and "--admin-port: 18099" in done.stderr and "is --port too" in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("sets", "words"),
    [
        (["--set", "tiers.developers.people=50 kg", "--emulate"], "tiers.developers.people: 50 kg"),
        ([], 'expected the URL of a running engine, such as "http://10.0.0.5:8000"'),
        (["--set", "placements.code.endpoint=gopher://x"], "expected a URL that begins with http"),
    ],
)
def test_a_scenario_that_cannot_be_served_is_told_and_leaves_nothing(
    tmp_path: Path, sets: list[str], words: str
) -> None:
    done = ampacity("serve", "laptop", "--port", "0", "--admin-port", "0", *sets, cwd=tmp_path)
    assert done.returncode == 1 and words in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "laptop.serve" / "settings.json").exists()


def test_whoever_watches_stays_small(served: Served) -> None:
    status = Path(f"/proc/{served.process.pid}/status")
    if not status.exists():
        pytest.skip("no /proc here")
    (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmRSS"))
    assert int(line.split()[1]) < 60_000


def test_nothing_runs_where_nothing_was_served(tmp_path: Path) -> None:
    done = ampacity("serve", "laptop", "--admin", "status", cwd=tmp_path)
    assert done.returncode == 1 and "ampacity serve SCENARIO" in done.stderr


def test_a_data_process_that_is_killed_comes_back_with_what_was_used(served: Served) -> None:
    run_curl(served)
    before = served.operator.standing("demo")["models"]["llama-3.1-70b"]["windows"][0]["used"]
    process = served.operator.status()["process"]
    os.kill(process, signal.SIGKILL)
    until = time.monotonic() + 15
    while alive(process) and time.monotonic() < until:  # a process that dies may still hold its port
        time.sleep(0.01)
    wait_until_ready(served)
    after = served.operator.standing("demo")["models"]["llama-3.1-70b"]["windows"][0]["used"]
    assert after == before > 0
    assert run_curl(served)["usage"] == {"input_tokens": 100, "output_tokens": 20}


def wait_until_ready(served: Served) -> None:
    until = time.monotonic() + 15
    while time.monotonic() < until:
        try:
            if served.operator.status()["ready"]:
                return
        except OSError:
            time.sleep(0.1)
    raise AssertionError("it did not come back")


def test_told_to_end_it_ends_and_leaves_no_process(served: Served) -> None:
    children = processes_of(served)
    served.process.send_signal(signal.SIGTERM)
    assert served.process.wait(20) == 0
    assert children and not any(alive(pid) for pid in children)


def processes_of(served: Served) -> list[int]:
    listed = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(served.process.pid)], capture_output=True, text=True, timeout=10
    )
    return [int(pid) for pid in listed.stdout.split()]


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.slow
def test_emulated_pools_answer_and_come_back_and_nothing_outlives_its_parent(tmp_path: Path, served_here: Any) -> None:
    with served_here(tmp_path, "laptop", "--emulate") as (process, said):
        served = Served(process, said, Folder(tmp_path / "laptop.serve"))
        assert run_curl(served)["usage"]
        url = served.operator.status()["pools"][0]["url"]
        (pid,) = (p for p in processes_of(served) if "emulation" in Path(f"/proc/{p}/cmdline").read_text())
        os.kill(pid, signal.SIGKILL)
        until = time.monotonic() + 30
        while served.operator.status()["pools"][0]["url"] == url and time.monotonic() < until:
            time.sleep(0.2)
        assert run_curl(served)["usage"]
        children = processes_of(served)
        assert len(children) == 3
        served.process.kill()
        until = time.monotonic() + 10
        while any(alive(pid) for pid in children) and time.monotonic() < until:
            time.sleep(0.1)
        assert not any(alive(pid) for pid in children)
