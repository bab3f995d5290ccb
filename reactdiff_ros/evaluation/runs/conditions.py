"""Recordings of a blind study under the conditions that its key tells: for results and their reports."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from reactdiff_ros.evaluation.results import Result
from reactdiff_ros.evaluation.runs.lab import Source
from reactdiff_ros.recordings.bags.storage import is_bag
from reactdiff_ros.recordings.studies.blinding import Key, opened


def unblinded(result: Result, found: Sequence[Source], key: Key) -> tuple[Result, dict[str, str]]:
    """The result with each bag's condition as a note of its item, and the conditions by the item's id.

    A bag whose seal the key does not open gets the sentence why, and no condition.
    """
    bags = {source.id: source.speaker for source in found if is_bag(source.speaker)}
    conditions: dict[str, str] = {}
    items = []
    for item in result.items:
        if item.id in bags:
            told = opened(bags[item.id], key)
            if isinstance(told, str):
                note = f"its condition is not known: {told}"
            else:
                conditions[item.id] = told.condition
                note = f"recorded under the condition {told.condition} (session {told.session})"
            item = replace(item, notes=(note, *item.notes))
        items.append(item)
    settings = {**result.info.settings, "study": key.study, "conditions": dict(conditions)}
    return replace(result, info=replace(result.info, settings=settings), items=tuple(items)), conditions
