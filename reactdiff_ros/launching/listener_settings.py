"""The settings of a listener in one process: the parameters of the live nodes, from the same table, files and names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from reactdiff_ros.errors import ConfigError
from reactdiff_ros.expression import ExpressionConfig, ExpressionEngine
from reactdiff_ros.launching.configuration import read_parameter_file, robot_parameters
from reactdiff_ros.launching.table import Node, Value, load_table, parameter_entries
from reactdiff_ros.model.listener import Listener, ListenerConfig
from reactdiff_ros.model.policies import make_listener
from reactdiff_ros.perception import PerceptionConfig, SpeakerPerception

NODES: Final = ("perception_node", "reaction_node", "expression_node")
"""Those whose parameters a listener in one process has."""


@dataclass(frozen=True)
class ListenerSettings:
    """Who listens; the defaults are those of the live graph without a robot's file.

    Args:
        policy: one of `types.POLICIES`.
        seed: of all noise: same input, same seed, same settings, same bits.
        perception: settings of perception.
        listener: settings of the listener.
        expression: settings of the face.
    """

    policy: str = "model"
    seed: int = 0
    perception: PerceptionConfig = field(default_factory=PerceptionConfig)
    listener: ListenerConfig = field(default_factory=ListenerConfig)
    expression: ExpressionConfig = field(default_factory=ExpressionConfig)

    def parts(self) -> tuple[SpeakerPerception, Listener, ExpressionEngine]:
        """Perception, listener and face with these settings.

        Raises:
            ConfigError: an unknown policy or style.
            WeightsError: the weights are missing or wrong.
        """
        return (
            SpeakerPerception(self.perception),
            make_listener(self.policy, seed=self.seed, config=self.listener),
            ExpressionEngine(self.expression, self.seed),
        )


def listener_settings(
    given: Mapping[str, Any], *, robot: str = "screen", params_file: Path | None = None
) -> tuple[ListenerSettings, dict[str, dict[str, Value]]]:
    """The settings that the live graph would have, and every parameter of it by node and name.

    Later ones win: the defaults of config/nodes.json, the robot's file, `params_file`, `given`.

    Args:
        given: parameters by name, for every node that has one of that name (seed, style, policy, smiling ...).
        robot: a file of config/robots by its name, the path of one, or "none": the page alone.
        params_file: ROS parameter file.

    Raises:
        ConfigError: an unknown parameter or robot, a value out of range, or a file that cannot be read.
    """
    table = load_table()
    nodes = {name: table.node(name) for name in NODES}
    known = {p.name for node in nodes.values() for p in node.parameters}
    for name in given:
        if name not in known:
            raise ConfigError(f"there is no parameter {name}", todo=f"use one of {', '.join(sorted(known))}")
    files = [list(parameter_entries(robot_parameters(robot, page=True) or {}))]
    if params_file is not None:
        files.append(list(parameter_entries(read_parameter_file(params_file))))
    values = {name: _values(node, files, given) for name, node in nodes.items()}
    reaction = values["reaction_node"]
    seeds = {int(values[name]["seed"]) for name in ("reaction_node", "expression_node")}
    if len(seeds) > 1:
        todo = "give both nodes the same, or --seed"
        raise ConfigError("a listener in one process has one seed", where=str(params_file), todo=todo)
    settings = ListenerSettings(
        policy=str(reaction["policy"]), seed=seeds.pop(),
        perception=nodes["perception_node"].configured(PerceptionConfig, values["perception_node"]),
        listener=nodes["reaction_node"].configured(ListenerConfig, reaction),
        expression=nodes["expression_node"].configured(ExpressionConfig, values["expression_node"]),
    )  # fmt: skip
    return settings, values


def _values(node: Node, files: list[list[tuple[str, dict[str, object]]]], given: Mapping[str, Any]) -> dict[str, Value]:
    values = {p.name: p.default for p in node.parameters}
    for entries in files:
        for path, parameters in entries:
            if node.named_by(path):
                values |= node.checked(parameters)
    return values | node.checked(given)
