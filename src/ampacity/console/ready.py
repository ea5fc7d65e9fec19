"""What is printed when a service is ready: where it is, a key to try it with, and how clients are told of it."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from ampacity.console import workers
from ampacity.console.ask import NotDone, NotServing
from ampacity.console.republish import OPEN
from ampacity.console.terms import DEFAULT
from ampacity.policy.terms import terms_of

if TYPE_CHECKING:
    from ampacity.console.supervise import Service

MINE = "$AMPACITY_KEY"


def ready_data(service: Service) -> dict[str, object]:
    """The same for a program. key: None if there were keys, of which only hashes are known."""
    how, folder = service.how, service.folder
    return {
        "gateway": _address(how.host, service.port),
        "admin": _address(how.admin_host, service.admin_port),
        "admin_token": str(folder.token),
        "folder": str(folder.path),
        "models": list(terms_of(folder.terms.read_bytes()).aliases()),
        "key": service.demo,
    }


def ready_lines(service: Service) -> list[str]:
    """Address, key, a line of curl that works, the lines of clients."""
    how, folder = service.how, service.folder
    base = _address(how.host, service.port)
    names = terms_of(folder.terms.read_bytes()).aliases()
    model = DEFAULT if DEFAULT in names else next(iter(names))
    own = next((name for name in names if name != DEFAULT), model)  # Claude Code has a "default" of its own
    key = service.demo or MINE
    in_python = f'"{key}"' if service.demo else f'os.environ["{MINE[1:]}"]'
    lines = [
        "",
        f"  gateway    {base}",
        f"  admin      {_address(how.admin_host, service.admin_port)}   token: {folder.token}",
        f"  state      {folder.path}",
        f"  models     {', '.join(names)}",
        *([f"  workers    {how.workers}"] if how.workers > 1 else []),
        *_closed(service),
    ]
    if service.demo is not None:
        lines.append(f"  key        {service.demo}   (subscriber demo; shown this once)")
    else:
        lines.append(f"  key        those there are; another: ampacity serve {how.scenario} --admin keys add NAME")
        lines.append(f"             to try the lines below: export {MINE[1:]}=sk-...")
    return [
        *lines,
        "",
        "  curl:",
        f"    {curl_line(base, key, model)}",
        "  Claude Code:",
        f"    ANTHROPIC_BASE_URL={base} ANTHROPIC_API_KEY={key} ANTHROPIC_SMALL_FAST_MODEL={own} claude --model {own}",
        "  anthropic SDK:",
        f'    anthropic.Anthropic(base_url="{base}", api_key={in_python})   # model="{model}"',
        "  openai SDK:",
        f'    openai.OpenAI(base_url="{base}/v1", api_key={in_python})   # model="{model}"',
        "",
        f"  look: ampacity serve {_where(service)} --admin status     end: Ctrl-C",
    ]


def _closed(service: Service) -> list[str]:
    """Of each pool that takes nothing new, as an operator or a contract left it, how it is opened."""
    with suppress(NotServing, NotDone):
        pools = [p for p in workers.status(service.folder)["pools"] if p["state"] != OPEN]
        said = f"ampacity serve {_where(service)} --admin reopen"
        return [f"  {p['state']:<10} {p['name']}   to open it: {said} {p['name']}" for p in pools]
    return []


def curl_line(base: str, key: str, model: str) -> str:
    """A request by hand, to be typed as it stands."""
    body = f'{{"model":"{model}","max_tokens":64,"messages":[{{"role":"user","content":"Hello"}}]}}'
    headers = f"-H 'content-type: application/json' -H \"x-api-key: {key}\""
    return f"curl -s {base}/v1/messages {headers} -d '{body}'"


def _address(host: str, port: int) -> str:
    """Where this machine reaches what listens there."""
    if host in ("0.0.0.0", "::"):
        host = "127.0.0.1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _where(service: Service) -> str:
    """What names the service in a command."""
    from ampacity.console.folder import folder_of

    own = folder_of(service.how.scenario)
    return service.how.scenario if own.path == service.folder.path else str(service.folder.path)
