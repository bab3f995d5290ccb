"""What a schema cannot say about a profile: limits that fit, names that exist, ids that differ, no circles."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter

from reactdiff_ros.actuation.kinematics import stopping_time_s, travel_time_s, usable
from reactdiff_ros.actuation.marks import Key, Marked, Problem
from reactdiff_ros.actuation.profile import SERVO_PULSE_US, Joint, Profile, Signal
from reactdiff_ros.coefficients import INDEX

LONGEST_TRAVEL_S = 60.0


def check_profile(profile: Profile, marked: Marked) -> list[Problem]:
    """All that is wrong, with lines; empty when the profile can be used."""
    problems: list[Problem] = []
    for name, joint in profile.joints.items():
        problems += _limits(name, joint, profile, marked)
        problems += _output(name, joint, profile, marked)
    problems += _same_ids(profile, marked)
    problems += _names(profile, marked)
    if not problems:
        problems += _circles(profile, marked)
    problems += _rules(profile, marked)
    problems += _head(profile, marked)
    return problems


def _limits(name: str, joint: Joint, profile: Profile, marked: Marked) -> Iterator[Problem]:
    key: Key = ("joints", name, "limits")
    lower, upper = joint.lower, joint.upper
    if lower >= upper:
        yield marked.problem((*key, "position"), f"lower {lower:g} is not below upper {upper:g}")
        return
    span, limits = upper - lower, joint.limits
    if not lower <= joint.neutral <= upper:
        yield marked.problem(
            ("joints", name, "neutral"), f"neutral {joint.neutral:g} is outside the limits {lower:g} to {upper:g}"
        )
    travel = travel_time_s(span, limits.speed, limits.acceleration, limits.jerk)
    if travel > LONGEST_TRAVEL_S:
        yield marked.problem(
            key, f"from end to end would take {travel:.3g} s", "speed, acceleration and jerk are per s, s2 and s3"
        )
    if travel < 2.0 / profile.rate_hz:
        yield marked.problem(
            key,
            f"from end to end would take {1000 * travel:.3g} ms, less than two ticks",
            "that is no limit: give speed, acceleration and jerk that the joint can do",
        )
    if joint.lowered is not None and not lower <= joint.lowered <= upper:
        yield marked.problem(
            ("joints", name, "lowered"), f"lowered {joint.lowered:g} is outside the limits {lower:g} to {upper:g}"
        )
    if (joint.on_fault == "lower_then_release") != (joint.lowered is not None):
        what = "on_fault lower_then_release and lowered belong together"
        yield marked.problem(("joints", name, "on_fault"), what, "give both or neither")


def _output(name: str, joint: Joint, profile: Profile, marked: Marked) -> Iterator[Problem]:
    key: Key = ("joints", name, "output")
    driver = profile.drivers.get(joint.output.driver)
    if driver is None:
        known = ", ".join(profile.drivers)
        yield marked.problem((*key, "driver"), f"there is no driver {joint.output.driver}", f"use one of {known}")
        return
    if joint.unit not in driver.units:
        able = " or ".join(sorted(driver.units))
        yield marked.problem(
            ("joints", name, "unit"), f"the unit {joint.unit} is wrong for a driver {driver.type}", f"use {able}"
        )
    wanted = joint.output.id
    if driver.ids is not None:
        low, high = driver.ids
        if not isinstance(wanted, int) or not low <= wanted <= high:
            yield marked.problem((*key, "id"), f"{wanted!r} is no id of a driver {driver.type}", f"{low} to {high}")
    elif not isinstance(wanted, str) or (driver.names is not None and wanted not in driver.names):
        able = ", ".join(sorted(driver.names)) if driver.names is not None else "a name"
        yield marked.problem((*key, "id"), f"{wanted!r} is no name of a driver {driver.type}", f"use {able}")
    yield from _pulse(name, joint, driver.pulses, marked)


def _pulse(name: str, joint: Joint, pulses: bool, marked: Marked) -> Iterator[Problem]:
    key: Key = ("joints", name, "output", "pulse")
    pulse = joint.output.pulse
    if not pulses or joint.unit == "us":
        if pulse is not None:
            yield marked.problem(key, "pulse is for joints in deg or rad on a driver of hobby servos")
        ends = (joint.lower, joint.upper)
        if not pulses:
            return
    elif pulse is None:
        yield marked.problem(key, f"is missing: a joint in {joint.unit} on hobby servos needs its pulses")
        return
    else:
        ends = (
            pulse.zero_us + pulse.us_per_unit * joint.lower,
            pulse.zero_us + pulse.us_per_unit * joint.upper,
        )
    low, high = SERVO_PULSE_US
    if min(ends) < low or max(ends) > high or ends[0] == ends[1]:
        yield marked.problem(
            ("joints", name, "limits", "position"),
            f"its ends are pulses of {ends[0]:.0f} and {ends[1]:.0f} us",
            f"hobby servos take {low:.0f} to {high:.0f} us",
        )


def _same_ids(profile: Profile, marked: Marked) -> Iterator[Problem]:
    seen: dict[tuple[str, int | str], str] = {}
    for name, joint in profile.joints.items():
        place = (joint.output.driver, joint.output.id)
        if place in seen:
            yield marked.problem(
                ("joints", name, "output", "id"), f"{place[1]} of {place[0]} is the id of {seen[place]} already"
            )
        seen.setdefault(place, name)
    # Two drivers on one port would be two writers.
    ports: dict[tuple[object, ...], str] = {}
    for name, driver in profile.drivers.items():
        port = tuple(getattr(driver, k, None) for k in ("host", "port", "bus", "address", "controller"))
        if any(p is not None for p in port):
            if port in ports:
                yield marked.problem(
                    ("drivers", name), f"is the same device as {ports[port]}", "one port or address has one driver"
                )
            ports.setdefault(port, name)


def _names(profile: Profile, marked: Marked) -> Iterator[Problem]:
    for name, signal in profile.signals.items():
        key: Key = ("signals", name)
        if name in INDEX:
            yield marked.problem(key, "is the name of a coefficient", "give the signal another")
        yield from _sources(key, signal, profile, marked)
    for name, joint in profile.joints.items():
        key = ("joints", name, "map")
        yield from _sources(key, joint.map, profile, marked)
        for other in joint.map.follow:
            if other not in profile.joints:
                yield marked.problem((*key, "follow", other), f"there is no joint {other}")


def _sources(key: Key, signal: Signal, profile: Profile, marked: Marked) -> Iterator[Problem]:
    for source in signal.sum:
        if source not in INDEX and source not in profile.signals:
            yield marked.problem(
                (*key, "sum", source),
                f"{source} is neither a coefficient nor a signal",
                "coefficients have ARKit's names, such as jawOpen or headPitch",
            )
    xs = [x for x, _ in signal.curve or ()]
    if any(b <= a for a, b in itertools.pairwise(xs)):
        yield marked.problem((*key, "curve"), "the first numbers of its points must rise")


def _circles(profile: Profile, marked: Marked) -> Iterator[Problem]:
    graph: dict[str, list[str]] = {f"signal {n}": [] for n in profile.signals}
    for name, signal in profile.signals.items():
        graph[f"signal {name}"] = [f"signal {s}" for s in signal.sum if s in profile.signals]
    for name, joint in profile.joints.items():
        graph[f"joint {name}"] = [f"joint {other}" for other in joint.map.follow]
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        found = error.args[1][:0:-1]  # graphlib lists what is needed first
        first = found.index(min(found, key=list(graph).index))
        circle = [*found[first:], *found[:first], found[first]]
        kind, _, name = circle[0].partition(" ")
        key: Key = ("signals", name, "sum") if kind == "signal" else ("joints", name, "map", "follow")
        yield marked.problem(key, f"the coupling goes round in a circle: {' -> '.join(circle)}")


def _rules(profile: Profile, marked: Marked) -> Iterator[Problem]:
    for i, rule in enumerate(profile.rules):
        joint = profile.joints.get(rule.joint)
        if joint is None:
            yield marked.problem(("rules", i, "joint"), f"there is no joint {rule.joint}")
            continue
        limits, way = joint.limits, (joint.upper if rule.towards == "upper" else joint.lower) - joint.neutral
        if way == 0.0:
            yield marked.problem(("rules", i, "towards"), f"the neutral of {rule.joint} is at this limit already")
            continue
        needed = back_time_s(joint, rule.beyond, rule.towards) + 2 / profile.rate_hz
        if limits.speed > 0 and needed >= rule.longest_s:
            yield marked.problem(
                ("rules", i, "longest_s"),
                f"{rule.joint} needs {needed:.3g} s to come back",
                "give a longer time, or a faster joint",
            )


def _head(profile: Profile, marked: Marked) -> Iterator[Problem]:
    if profile.head is None:
        if profile.camera.mount == "head":
            what = "the camera moves with the head, and nothing says which joints move that"
            yield marked.problem(("camera", "mount"), what, "give head, see docs/robots.md")
        return
    for axis, weights in profile.head.axes.items():
        for joint in weights:
            if joint not in profile.joints:
                yield marked.problem(("head", axis, joint), f"there is no joint {joint}")


def back_time_s(joint: Joint, beyond: float, towards: str) -> float:
    """Longest time that a joint beyond a share of its way needs to come back, whatever it does at the moment."""
    limits = usable(joint.limits.speed, joint.limits.acceleration, joint.limits.jerk)
    end = joint.upper if towards == "upper" else joint.lower
    distance = (1.0 - beyond) * abs(end - joint.neutral)
    return travel_time_s(distance, *limits) + stopping_time_s(*limits)
