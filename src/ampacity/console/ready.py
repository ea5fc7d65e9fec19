"""What is printed when a service is ready: where it is, a key to try it with, and how clients are told of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ampacity.console.terms import DEFAULT
from ampacity.policy.terms import terms_of

if TYPE_CHECKING:
    from ampacity.console.supervise import Service

MINE = "$AMPACITY_KEY"


def ready_lines(service: Service) -> list[str]:
    """Address, key, a line of curl that works, the lines of clients."""
    how, folder = service.how, service.folder
    host = "127.0.0.1" if how.host in ("0.0.0.0", "::") else how.host
    base = f"http://[{host}]:{service.port}" if ":" in host else f"http://{host}:{service.port}"
    names = terms_of(folder.terms.read_bytes()).aliases()
    model = DEFAULT if DEFAULT in names else next(iter(names))
    key = service.demo or MINE
    lines = [
        "",
        f"  gateway    {base}",
        f"  admin      http://{host}:{service.admin_port}   token: {folder.token}",
        f"  state      {folder.path}",
        f"  models     {', '.join(names)}",
    ]
    if service.demo is not None:
        lines.append(f"  key        {service.demo}   (subscriber demo; shown this once)")
    else:
        lines.append(f"  key        those there are; another: ampacity serve {how.scenario} --admin keys add NAME")
    return [
        *lines,
        "",
        "  curl:",
        f"    {curl_line(base, key, model)}",
        "  Claude Code:",
        f"    ANTHROPIC_BASE_URL={base} ANTHROPIC_API_KEY={key} claude --model {model}",
        "  anthropic SDK:",
        f'    anthropic.Anthropic(base_url="{base}", api_key="{key}")   # model="{model}"',
        "  openai SDK:",
        f'    openai.OpenAI(base_url="{base}/v1", api_key="{key}")   # model="{model}"',
        "",
        f"  look: ampacity serve {_where(service)} --admin status     end: Ctrl-C",
    ]


def curl_line(base: str, key: str, model: str) -> str:
    """A request by hand, to be typed as it stands."""
    body = f'{{"model":"{model}","max_tokens":64,"messages":[{{"role":"user","content":"Hello"}}]}}'
    headers = f"-H 'content-type: application/json' -H \"x-api-key: {key}\""
    return f"curl -s {base}/v1/messages {headers} -d '{body}'"


def _where(service: Service) -> str:
    """What names the service in a command."""
    from ampacity.console.folder import folder_of

    own = folder_of(service.how.scenario)
    return service.how.scenario if own.path == service.folder.path else str(service.folder.path)
