"""A style of listening from a description in words: by a lexicon (`config/style_words.yaml`), or by a language model.

In each clause a degree ("very", "rarely") or a negation acts on the next word that the lexicon has, or else on the one
before it; the effects of all words are added and kept within the controls' ranges.
"""

from __future__ import annotations

import difflib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from reactdiff_ros.errors import ConfigError, ReactdiffError
from reactdiff_ros.plain_yaml import parse_yaml
from reactdiff_ros.resources import share_path
from reactdiff_ros.settings import RANGES, is_number

LONGEST: Final = 400
"""Characters of a description."""
TIMEOUT_S: Final = 30.0
ANSWER_BYTES: Final = 200_000
NEUTRAL: Final[Mapping[str, float]] = {
    name: 1.0 if name in ("intensity", "upper_face", "lower_face", "head") else 0.0 for name in RANGES
}
_MISSPELT: Final = 0.8
"""Similarity (difflib's) from which on an unknown word is taken for a known one."""
_CLAUSE: Final = re.compile(r"[,;:.!?()\n]|\bbut\b|\band\b")
_WORD: Final = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
_ASKED: Final = """You set how a robot's face listens. Answer with one JSON object alone: numbers for {ranges}.
attitude: cold to warm; responsiveness: how much of what it sees it answers; smiling, nodding, liveliness: less or more
than people; delay_s: seconds its reactions are late; intensity, upper_face, lower_face, head: gains, 1 is ordinary;
stillness: 1 is hardly moving. Leave out what the description does not speak of."""


@dataclass(frozen=True, slots=True)
class Described:
    """What a description says."""

    controls: dict[str, float]
    """Controls that it moves, by name, within their ranges."""
    words: tuple[tuple[str, dict[str, float]], ...]
    """Each word that is known, with the degrees that act on it, and how far it moves each control."""
    unknown: tuple[str, ...]
    """Words that mean nothing here."""


@dataclass(frozen=True, slots=True)
class _Lexicon:
    words: Mapping[str, Mapping[str, float]]
    factors: Mapping[str, float]
    negations: frozenset[str]
    ignored: frozenset[str]


def described(text: str) -> Described:
    """What the lexicon makes of a description.

    Raises:
        ConfigError: it is too long, none of its words is known, or one looks like a known one that is misspelt: without
            it a style may be the opposite of what was meant ("rarley nods").
    """
    if len(text) > LONGEST:
        raise ConfigError(f"the description of a style has {len(text)} characters", todo=f"write at most {LONGEST}")
    lexicon = _lexicon()
    words: list[tuple[str, dict[str, float]]] = []
    unknown: list[str] = []
    for clause in _CLAUSE.split(text.lower().replace("’", "'")):
        tokens = _WORD.findall(clause)
        known = (lexicon.words, lexicon.factors, lexicon.ignored)
        unknown += [token for token in tokens if not any(token in words for words in known)]
        words += _clause(tokens, lexicon)
    meant = [*lexicon.words, *lexicon.factors]
    for token in (word for word in unknown if len(word) > 3):
        # People seldom misspell the first letter: a "father" is not "rather", a "school" not "cool".
        alike = [word for word in meant if word[0] == token[0]]
        if near := difflib.get_close_matches(token, alike, 1, _MISSPELT):
            raise ConfigError(f"the style's word {token!r} is not known", todo=f"did you mean {near[0]!r}?")
    if not words:
        raise ConfigError(
            f"no word of the style {text[:60]!r} is known",
            todo="see 'reactdiff style list' and config/style_words.yaml",
        )
    moved = {name for _, moves in words for name in moves}
    sums = {name: NEUTRAL[name] + sum(moves.get(name, 0.0) for _, moves in words) for name in RANGES if name in moved}
    return Described({name: _within(name, value) for name, value in sums.items()}, tuple(words), tuple(unknown))


def asked(text: str, endpoint: str, model: str, key: str = "") -> dict[str, float]:
    """Controls that a language model gives for a description.

    Args:
        text: the description; it is sent to the endpoint.
        endpoint: base address of an OpenAI-compatible service, such as http://localhost:11434/v1.
        model: its name there.
        key: for the header Authorization; empty: none.

    Raises:
        ReactdiffError: the endpoint does not answer, or its answer holds no controls.
    """
    # Here alone, and slow to load: the nodes have this module too.
    import urllib.request
    from http.client import HTTPException

    ranges = ", ".join(f"{name} ({low:g} to {high:g})" for name, (low, high) in RANGES.items())
    messages = [{"role": "system", "content": _ASKED.format(ranges=ranges)}, {"role": "user", "content": text}]
    body = json.dumps({"model": model, "messages": messages, "temperature": 0}).encode()
    todo = "see whether it is an OpenAI-compatible address, such as http://localhost:11434/v1"
    if not endpoint.startswith(("http://", "https://")):
        raise ConfigError("the endpoint is no address of a web service", where=endpoint, todo=todo)
    headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {key}"} if key else {})}
    try:
        request = urllib.request.Request(f"{endpoint.rstrip('/')}/chat/completions", body, headers)
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
            content = json.loads(answer.read(ANSWER_BYTES))["choices"][0]["message"]["content"]
    except (OSError, HTTPException, ValueError, KeyError, IndexError, TypeError) as error:
        raise ReactdiffError(f"the endpoint gives no answer ({error})", where=endpoint, todo=todo) from error
    found = re.search(r"\{.*\}", str(content), re.DOTALL)
    try:
        values = json.loads(found[0]) if found else {}
    except (ValueError, RecursionError):
        values = {}
    numbers = {name: value for name in RANGES if is_number(value := values.get(name)) and abs(value) < math.inf}
    given = {name: _within(name, value) for name, value in numbers.items()}
    if not given:
        raise ReactdiffError("the model's answer holds no controls", where=model, todo="try again, or another model")
    return given


def _within(name: str, value: float) -> float:
    low, high = RANGES[name]
    return round(min(max(value, low), high), 3)


def _clause(tokens: list[str], lexicon: _Lexicon) -> list[tuple[str, dict[str, float]]]:
    """The known words of a clause with what acts on them."""
    places = [i for i, token in enumerate(tokens) if token in lexicon.words]
    if not places:
        return []
    acting: dict[int, list[int]] = {place: [] for place in places}
    for i, token in enumerate(tokens):
        if token in lexicon.factors and token not in lexicon.words:
            acting[next((place for place in places if place > i), places[-1])].append(i)
    said = []
    for place, modifiers in acting.items():
        phrase = " ".join(tokens[i] for i in sorted((*modifiers, place)))
        factor = _factor([tokens[i] for i in modifiers], lexicon)
        said.append((phrase, {name: round(value * factor, 3) for name, value in lexicon.words[tokens[place]].items()}))
    return said


def _factor(modifiers: list[str], lexicon: _Lexicon) -> float:
    """What these make of a word: "not very" is less than "not"."""
    degrees = [lexicon.factors[word] for word in modifiers if word not in lexicon.negations]
    negated = [lexicon.factors[word] for word in modifiers if word in lexicon.negations]
    degree = math.prod(degrees)
    return degree if not negated else math.prod(negated) * (0.5 if degree > 1 else degree)


@lru_cache(maxsize=1)
def _lexicon() -> _Lexicon:
    table = parse_yaml(share_path("config/style_words.yaml").read_text(encoding="utf-8"))

    def each(part: str) -> dict[str, Any]:
        return {word.strip(): value for words, value in table[part].items() for word in words.split(",")}

    negations = each("negations")
    return _Lexicon(each("words"), {**each("degrees"), **negations}, frozenset(negations), frozenset(table["ignored"]))
