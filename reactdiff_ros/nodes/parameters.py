"""A node's parameters, declared from the table: described, ranged, and fixed while the node is configured."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor, SetParametersResult
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.node import Node
from rclpy.parameter import Parameter as RosParameter

from reactdiff_ros.launching.table import Parameter

from ..errors import ConfigError


class Parameters:
    """Declares parameters and keeps their values in `values`.

    Args:
        node: whose parameters they are.
        specs: what is declared.
        configured: whether parameters that are read-only are fixed now.

    Raises:
        ConfigError: a start value is of the wrong type, not finite, or out of range.
    """

    def __init__(self, node: Node, specs: Sequence[Parameter], configured: Callable[[], bool]) -> None:
        self.values: dict[str, Any] = {}
        self._node, self._configured = node, configured
        self._specs = {spec.name: spec for spec in specs}
        node.add_on_set_parameters_callback(self._check)
        for spec in specs:
            self._declare(spec)

    def _declare(self, spec: Parameter) -> None:
        described = descriptor(spec)
        try:
            self._node.declare_parameter(spec.name, spec.default, described)
        except (InvalidParameterTypeException, InvalidParameterValueException):
            # Of another type (a whole number for a number) or out of range: ours to say, in one sentence.
            value = spec.checked(self._given(spec.name))
            self._node.declare_parameter(spec.name, value, described, ignore_override=True)
        self.values[spec.name] = self._node.get_parameter(spec.name).value

    def _given(self, name: str) -> Any:
        """The start value that was given for a parameter, of whatever type."""
        self._node.remove_on_set_parameters_callback(self._check)
        value = self._node.declare_parameter(name, None, ParameterDescriptor(dynamic_typing=True)).value
        self._node.undeclare_parameter(name)
        self._node.add_on_set_parameters_callback(self._check)
        return value

    def _check(self, parameters: list[RosParameter]) -> SetParametersResult:
        accepted: dict[str, Any] = {}
        for parameter in parameters:
            spec = self._specs.get(parameter.name)
            if spec is None:
                continue
            if spec.name in self.values and spec.read_only and self._configured():
                reason = f"{spec.name} can be changed only while the node is unconfigured: deactivate and clean it up"
                return SetParametersResult(successful=False, reason=reason)
            try:
                accepted[spec.name] = spec.checked(parameter.value)
            except ConfigError as error:
                return SetParametersResult(successful=False, reason=str(error))
        self.values.update({name: value for name, value in accepted.items() if name in self.values})
        return SetParametersResult(successful=True)


def descriptor(spec: Parameter) -> ParameterDescriptor:
    """What `ros2 param describe` tells."""
    described = ParameterDescriptor(description=spec.description + (f" Unit: {spec.unit}." if spec.unit else ""))
    constraints = []
    if spec.choices:
        constraints.append(f"one of {', '.join(spec.choices)}")
    if spec.read_only:
        constraints.append("fixed while the node is configured")
    described.additional_constraints = "; ".join(constraints)
    if spec.minimum is not None and spec.maximum is not None:
        low = spec.minimum if spec.unset is None else min(spec.minimum, spec.unset)
        if spec.kind == "int":
            bounds = IntegerRange(from_value=int(low), to_value=int(spec.maximum), step=0)
            described.integer_range = [bounds]
        else:
            limits = FloatingPointRange(from_value=float(low), to_value=float(spec.maximum), step=0.0)
            described.floating_point_range = [limits]
    return described
