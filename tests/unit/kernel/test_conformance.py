"""What is judged beyond what tests/unit/kernel/test_plugins.py shows of whole plugins."""

import functools
from typing import ClassVar

import pytest

from codex32 import Embedder, LLMProvider, Notifier, Receipt, Succeeded, TriggerType
from codex32.builtin.bot_types import all_bot_types
from codex32.kernel.components import KINDS
from codex32.kernel.conformance import faults_of

KIND = {kind.key: kind for kind in KINDS}


class Weekly(TriggerType):
    name = "weekly"
    config_schema: ClassVar = {"type": "string"}

    def next_fire_at(self, config, timezone, after):
        return None


class Flat(Embedder):
    name = "flat"
    dimension = 2

    async def embed(self, texts, *, purpose, timeout_seconds, key):
        return [[1.0, 0.0] for _ in texts]


class Model(LLMProvider):
    name = "model"

    def models(self):
        return []

    async def complete(self, request, *, timeout_seconds, key):
        yield None


def changed(base, **attributes):
    return type("Changed", (base,), attributes)()


@pytest.mark.parametrize("bot_type", all_bot_types(), ids=lambda bot_type: bot_type.name)
def test_the_bot_types_of_the_house_keep_the_contract(bot_type):
    assert faults_of(KIND["bot_types"], bot_type) == []


def test_an_async_generator_is_a_stream():
    assert faults_of(KIND["llm_providers"], Model()) == []


def test_a_coroutine_is_no_stream():
    async def complete(self, request, *, timeout_seconds, key):
        return []

    (fault,) = faults_of(KIND["llm_providers"], changed(Model, complete=complete))
    assert fault == "Changed.complete must not be a coroutine: it is called, not awaited"


@pytest.mark.parametrize("dimension", [0, -1, True, 1.5, "768", None])
def test_a_dimension_is_a_positive_number(dimension):
    (fault,) = faults_of(KIND["embedders"], changed(Flat, dimension=dimension))
    assert fault.startswith("Changed.dimension must be a positive whole number")


@pytest.mark.parametrize("name", ["if", "timezone", "inputs"])
def test_a_trigger_is_not_called_like_a_key_beside_it(name):
    (fault,) = faults_of(KIND["trigger_types"], changed(Weekly, name=name))
    assert "already means something else beside a trigger" in fault


def test_a_flag_is_a_boolean():
    (fault,) = faults_of(KIND["trigger_types"], changed(Weekly, timed="no"))
    assert fault == "Changed.timed must be True or False, not 'no'"


def test_a_method_must_take_what_it_is_called_with():
    async def send(self, notification, target):
        return Receipt()

    bell = type("Bell", (Notifier,), {"name": "bell", "send": send})()
    (fault,) = faults_of(KIND["notifiers"], bell)
    assert fault.startswith("Bell.send must take notification, target, http, timeout_seconds")


def test_a_decorated_coroutine_is_still_one():
    def retried(function):
        @functools.wraps(function)
        def wrapper(*args, **kwargs):
            return function(*args, **kwargs)

        return wrapper

    embedder = changed(Flat, embed=retried(Flat.embed))
    assert faults_of(KIND["embedders"], embedder) == []


def test_an_attribute_in_the_place_of_a_method_is_named():
    (fault,) = faults_of(KIND["embedders"], changed(Flat, embed=Succeeded()))
    assert fault == "Changed.embed must be a method"


def test_all_faults_are_told_at_once():
    assert len(faults_of(KIND["embedders"], changed(Flat, name="", dimension=0))) == 2
