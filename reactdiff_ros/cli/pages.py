"""The generated pages as text: pure functions of the table of nodes and of measured figures."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from reactdiff_ros.cli.benchmark_tables import compute_section, machine, model_section, reference_section
from reactdiff_ros.cli.markdown import generated, markdown_table
from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.nodes.table import Node, Parameter, Table, Topic


def nodes_page(table: Table) -> str:
    """docs/nodes.md."""
    lines = [
        "# Nodes, topics, parameters",
        "",
        generated("reactdiff docs nodes --output docs/nodes.md"),
        "",
        "All nodes are lifecycle nodes. Names of topics and services are relative to the namespace, except those that "
        "begin with `/`, and `~/`, the node's own name.",
        "",
        "## Arguments of `ros2 launch reactdiff_ros listener.launch.py`",
        "",
        *markdown_table(
            ("argument", "default", "what"),
            ((f"`{a.name}`", _code(a.default), _with_choices(a.description, a.choices)) for a in table.arguments),
        ),
        "",
        "## Qualities of service",
        "",
        *markdown_table(
            ("name", "reliability", "durability", "depth", "for"),
            ((q.name, q.reliability, q.durability, str(q.depth), q.description) for q in table.qos.values()),
        ),
    ]
    for node in table.nodes:
        lines += ["", *_node(node)]
    return "\n".join(lines) + "\n"


def _node(node: Node) -> list[str]:
    started = "always" if node.when == "always" else f"when the argument `{node.when}` is neither empty nor `none`"
    lines = [f"## {node.name}", "", f"{node.description} Started {started}."]
    if node.parameters:
        rows = (
            (
                f"`{p.name}`",
                p.kind,
                _code(_shown(p.default)),
                p.span(),
                _with_choices(p.description, p.choices),
                _when(p),
            )
            for p in node.parameters
        )
        lines += ["", *markdown_table(("parameter", "type", "default", "range", "what", "changes"), rows)]
    for title, topics in (("publishes", node.publishers), ("subscribes to", node.subscribers)):
        if topics:
            rows_ = ((f"`{t.name}`", f"`{t.type}`", t.qos, _topic_text(t)) for t in topics)
            lines += ["", *markdown_table((title, "type", "QoS", "what"), rows_)]
    if node.services:
        rows__ = ((f"`{s.name}`", f"`{s.type}`", s.description) for s in node.services)
        lines += ["", *markdown_table(("service", "type", "what"), rows__)]
    return lines


def _topic_text(topic: Topic) -> str:
    return topic.description + (f" Where `{topic.requires}` is installed." if topic.requires else "")


def _when(parameter: Parameter) -> str:
    return "while unconfigured" if parameter.read_only else "at any time"


def _shown(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _code(text: str) -> str:
    return f"`{text}`" if text else "empty"


def _with_choices(text: str, choices: Sequence[str]) -> str:
    return text + (f" One of {', '.join(f'`{c}`' for c in choices)}." if choices else "")


def read_figures(path: Path) -> dict[str, Any]:
    """docs/benchmarks.json. Raises ReactdiffError when it is missing or has not what the page shows."""
    try:
        figures = json.loads(path.read_text(encoding="utf-8"))
        for run in figures["live"]:
            run["result"]["latency_ms"], run["command"], run["clip"]
        for entry in figures.get("model", []):
            entry["result"]["rows"], entry["result"]["seen"], entry["command"], entry["hardware"]
        for entry in figures.get("reference", []):
            entry["result"]["ratios"], entry["result"]["paper"]["ten_samples"], entry["command"], entry["hardware"]
        figures["hardware"], figures["date"], figures["commit"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise ReactdiffError(
            "the figures cannot be read", where=str(path), todo="make them with 'make bench'"
        ) from error
    assert isinstance(figures, dict)
    return figures


def benchmarks_page(figures: dict[str, Any]) -> str:
    """docs/benchmarks.md."""
    lines = [
        "# Benchmarks",
        "",
        generated("reactdiff docs benchmarks docs/benchmarks.json --output docs/benchmarks.md"),
        "",
        "`make bench` makes these figures (docs/benchmarks.json) and this page. Definitions: "
        "[reactdiff_ros/evaluation/bench/live.py](../reactdiff_ros/evaluation/bench/live.py).",
    ]
    lines += _live_section(figures)
    lines += reference_section(figures.get("reference", []))
    lines += model_section(figures.get("model", []))
    if figures.get("other"):
        lines += [
            "",
            "## Other figures",
            "",
            "Written into docs/benchmarks.json by hand, from the commands named; `make bench` keeps them.",
            "",
            *markdown_table(
                ("what", "measured", "asked", "date", "command"),
                ((o["what"], o["measured"], o["asked"], o["date"], f"`{o['command']}`") for o in figures["other"]),
            ),
        ]
    return "\n".join(lines) + "\n"


def _live_section(figures: dict[str, Any]) -> list[str]:
    if not figures["live"]:
        return []
    return [
        "",
        f"{figures['date']}, commit {figures['commit']}: {machine(figures['hardware'])}.",
        "",
        "## The whole graph but the browser",
        "",
        "The run of median latency. A latency is the time from the capture of a picture to the first face that it "
        "influenced; a reaction, to the first face that it influenced through the listener's plan.",
        "",
        *markdown_table(
            ("clip", "latency p50 / p99, ms", "reaction p50 / p99, ms", "speaker/frame, Hz", "listener/expression, Hz",
             "gaps over 40 ms", "CPU cores", "memory, MB", "load before", "runs x s"),
            (_live_row(run) for run in figures["live"]),
        ),
        "",
        "Where the time goes (p50 / p99, ms):",
        "",
        *markdown_table(
            ("clip", "capture", "perception", "reaction", "expression"),
            (
                (run["clip"], *(_pair(run["result"]["stages_ms"].get(s)) for s in _STAGES))
                for run in figures["live"]
            ),
        ),
        *compute_section(figures["live"]),
        "",
        "Commands:",
        "",
        "```bash",
        *(run["command"] for run in figures["live"]),
        "```",
    ]  # fmt: skip


_STAGES = ("capture", "perception", "reaction", "expression")


def _live_row(run: dict[str, Any]) -> tuple[str, ...]:
    result = run["result"]
    rates = result["rates_hz"]
    return (
        run["clip"],
        _pair(result["latency_ms"]),
        _pair(result["reaction_ms"]),
        _number(rates.get("speaker/frame")),
        _number(rates.get("listener/expression")),
        _number(result["deadline_misses"]),
        _number(result["cpu_cores"]),
        _number(result["rss_mb"]),
        _number(result["load_before"]),
        f"{run['runs']} x {result['seconds']:g}",
    )


def _pair(value: dict[str, Any] | None) -> str:
    return "none" if value is None else f"{value['p50']:g} / {value['p99']:g}"


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:g}"
