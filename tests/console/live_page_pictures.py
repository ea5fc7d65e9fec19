"""Photographs the live page for the docs: two emulated pools, twelve developers, a limit that stops two of them.

python tests/console/live_page_pictures.py          writes docs/images/live-page-1280.png and live-page-390.png
"""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from importlib.resources import files
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from ampacity.console.folder import Folder
from ampacity.console.operator import Operator

IMAGES = Path(__file__).parents[2] / "docs" / "images"
LOAD_S = 200
READY_S = 120
HEIGHT = 1680
EAGER = {"ada": 10, "grace": 8}  # how many requests at once; all others one
PEOPLE = [
    "ada",
    "alan",
    "barbara",
    "donald",
    "edsger",
    "frances",
    "grace",
    "john",
    "ken",
    "margaret",
    "niklaus",
    "radia",
]


def scenario() -> str:
    """The packaged laptop with a second server and a limit that is soon reached."""
    text = (files("ampacity.catalog") / "scenarios" / "laptop.yaml").read_text(encoding="utf-8")
    begin, end = text.index("  server:\n"), text.index("placements:")
    one = text[begin:end].rstrip() + "\n"
    return (
        text.replace("scenario: laptop", "scenario: our-lab")
        .replace(one, one + one.replace("  server:", "  second-server:"))
        .replace("12 kW", "24 kW")
        .replace("five-hour: {length: 5 h,", "five-hour: {tokens: 600000, length: 5 h,")
    )


def load(gateway: str, key: str, until_s: float, seed: int) -> None:
    """Ask and ask, a while of thought between."""
    draw = random.Random(seed)
    while time.monotonic() < until_s:
        body = {
            "model": "default",
            "max_tokens": draw.randint(200, 900),
            "stream": True,
            "messages": [{"role": "user", "content": "words " * draw.randint(500, 6000)}],
        }
        headers = {"x-api-key": key, "content-type": "application/json"}
        try:
            urlopen(Request(f"{gateway}/v1/messages", json.dumps(body).encode(), headers), timeout=60).read()
            time.sleep(draw.uniform(0.5, 4))
        except HTTPError:
            time.sleep(8)
        except OSError:
            return


def photograph(address: str, token: str, width: int, shown_s: float) -> None:
    """One picture."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--headless", "--no-sandbox"])
        page = browser.new_page(viewport={"width": width, "height": HEIGHT})
        page.goto(address)
        page.get_by_label("Admin token").fill(token)
        page.keyboard.press("Enter")
        page.wait_for_timeout(1000 * shown_s)
        page.screenshot(path=IMAGES / f"live-page-{width}.png")
        browser.close()


def main() -> None:
    """Serve, load, photograph."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "our-lab.yaml"
        file.write_text(scenario(), encoding="utf-8")
        program = [sys.executable, "-c", "from ampacity import cli; cli.main()", "serve", str(file), "--emulate"]
        served = subprocess.Popen([*program, "--port", "0", "--admin-port", "0", "--json", "-"], stdout=subprocess.PIPE)
        watchdog = threading.Timer(READY_S + LOAD_S, served.kill)
        watchdog.start()
        try:
            _pictures(served)
        finally:
            watchdog.cancel()
            served.send_signal(signal.SIGTERM)
            served.wait(60)


def _pictures(served: subprocess.Popen[bytes]) -> None:
    assert served.stdout is not None
    lines = b""
    while not lines.rstrip().endswith(b"}"):
        line = served.stdout.readline()
        assert line, "it did not start"
        lines += line
    said = json.loads(lines)
    state = Folder(Path(said["folder"]))
    operator = Operator(state)
    until_s = time.monotonic() + LOAD_S - 20
    keys = {name: operator.make_key(name)["key"] for name in PEOPLE}
    keys["nightly-build"] = operator.make_key("nightly-build", tier="tools")["key"]
    for i, name in enumerate([*keys, *(n for n, more in EAGER.items() for _ in range(more - 1))]):
        threading.Thread(target=load, args=(said["gateway"], keys[name], until_s, i), daemon=True).start()
    phone = threading.Thread(target=photograph, args=(said["admin"], state.read_token(), 390, 120))
    phone.start()
    photograph(said["admin"], state.read_token(), 1280, 120)
    phone.join()


if __name__ == "__main__":
    main()
