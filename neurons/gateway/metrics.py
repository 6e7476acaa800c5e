"""What a gateway tells its operator: how much each model is used, in Prometheus' text format.

Totals are this process's own since it started. How busy the miners are is what they say, and what
of their capacity is leased is what the chain says.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from ganglion.market import AskFacts
from neurons.gateway.router import Router

TYPE = "text/plain; version=0.0.4"
HELP = {
    "requests_total": ("counter", "Requests that brought something, and those that failed"),
    "tokens_total": ("counter", "Tokens billed: of prompts, of those in a cache, of answers"),
    "miners": ("gauge", "Miners that serve the model"),
    "miners_resting": ("gauge", "Those that are left out for a while"),
    "open_requests": ("gauge", "Requests of this gateway that miners have now"),
    "answers_running": ("gauge", "Answers that miners say they make now, for everybody"),
    "places": ("gauge", "Answers that miners say they can make at once"),
    "utilisation": ("gauge", "Running answers of all places, 0 to 1"),
    "capacity_asked": ("gauge", "Output tokens a block that are on offer on the chain"),
    "capacity_leased": ("gauge", "Those of them that are leased"),
    "utilisation_leased": ("gauge", "Leased capacity of all that is on offer, 0 to 1"),
}


@dataclass(slots=True)
class Totals:
    """What has been served, by model and kind."""

    requests: Counter[tuple[str, str]] = field(default_factory=Counter)
    tokens: Counter[tuple[str, str]] = field(default_factory=Counter)

    def served(self, model: str, prompt: int, cached: int, completion: int) -> None:
        """Add one request that was billed."""
        self.requests[model, "served"] += 1
        for kind, tokens in (("prompt", prompt), ("cached", cached), ("completion", completion)):
            self.tokens[model, kind] += tokens

    def failed(self, model: str) -> None:
        """Add one that brought nothing."""
        self.requests[model, "failed"] += 1


def gauges(router: Router, asks: Iterable[AskFacts], now: float) -> dict[str, dict[str, float]]:
    """The present state by model and gauge."""
    found: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for model, miners in router.models().items():
        one = found[model]
        one["miners"] = len(miners)
        one["miners_resting"] = sum(miner.banned_until > now for miner in miners)
        one["open_requests"] = sum(miner.open for miner in miners)
        one["answers_running"] = sum(min(miner.running, miner.places) for miner in miners)
        one["places"] = sum(miner.places for miner in miners)
        one["utilisation"] = one["answers_running"] / max(one["places"], 1)
    for ask in asks:
        found[ask.model]["capacity_asked"] += ask.capacity
        found[ask.model]["capacity_leased"] += ask.leased
    for one in found.values():
        if "capacity_asked" in one:
            one["utilisation_leased"] = one["capacity_leased"] / max(one["capacity_asked"], 1)
    return found


def render(totals: Totals, states: Iterable[dict[str, dict[str, float]]]) -> str:
    """All of it as text."""
    lines: dict[str, list[str]] = defaultdict(list)
    for (model, outcome), count in sorted(totals.requests.items()):
        lines["requests_total"].append(f'{{model="{quoted(model)}",outcome="{outcome}"}} {count}')
    for (model, kind), count in sorted(totals.tokens.items()):
        lines["tokens_total"].append(f'{{model="{quoted(model)}",kind="{kind}"}} {count}')
    for state in states:
        for model, values in sorted(state.items()):
            for name, value in values.items():
                lines[name].append(f'{{model="{quoted(model)}"}} {value:g}')
    text = []
    for name, (kind, about) in HELP.items():
        if lines[name]:
            text += [f"# HELP ganglion_{name} {about}.", f"# TYPE ganglion_{name} {kind}"]
            text += [f"ganglion_{name}{line}" for line in lines[name]]
    return "\n".join(text) + "\n"


def quoted(label: str) -> str:
    """A label's value: models are named by strangers."""
    return label.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
