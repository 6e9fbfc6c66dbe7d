"""The suites find the faults that they are there for."""

import subprocess
import sys

LYING = """
import pytest
from codex32 import (
    BotType, Embedded, Embedder, HttpRequest, Notifier, Problem, ProviderRejected, Receipt,
    Succeeded,
)
from codex32_testing.conformance import BotTypeSuite, EmbedderSuite, NotifierSuite

class Loose(BotType):
    name = "loose"
    params_schema = {"type": "object", "properties": {"n": {"type": "integer"}}}
    def check(self, params):
        return [] if isinstance(params["n"], int) else [Problem("n must be a number", "n")]
    async def run(self, context, params):
        return Succeeded({params["n"]})

class TestLoose(BotTypeSuite):
    cases = (({"n": 1}, {1}),)
    wrong = ({"n": 1},)
    @pytest.fixture
    def bot_type(self):
        return Loose()

class Constant(Embedder):
    name = "constant"
    dimension = 2
    async def embed(self, texts, *, purpose, timeout_seconds, key):
        return Embedded([[3.0, 4.0]] * max(len(texts), 1))

class TestConstant(EmbedderSuite):
    @pytest.fixture
    def embedder(self):
        return Constant()

class Chatty(Notifier):
    name = "chatty"
    async def send(self, notification, target, *, http, timeout_seconds):
        response = await http.send(HttpRequest(target))
        if response.status != 200:
            raise ProviderRejected(f"{target} answered {response.status}")
        return Receipt()

class TestChatty(NotifierSuite):
    @pytest.fixture
    def notifier(self):
        return Chatty()
"""

CAUGHT = {
    "TestLoose::test_an_unknown_parameter_is_refused",
    "TestLoose::test_check_lets_expressions_through",
    "TestLoose::test_each_case_gives_its_output",
    "TestLoose::test_every_parameter_is_described",
    "TestLoose::test_it_says_what_it_does_in_one_line",
    "TestLoose::test_wrong_params_are_refused",
    "TestConstant::test_different_texts_differ",
    "TestConstant::test_no_text_gives_no_vector",
    "TestConstant::test_vectors_have_length_one",
    "TestChatty::test_a_refusal_says_whether_trying_again_can_help[400-False]",
    "TestChatty::test_a_refusal_says_whether_trying_again_can_help[403-False]",
    "TestChatty::test_a_refusal_says_whether_trying_again_can_help[404-False]",
    "TestChatty::test_a_refusal_says_whether_trying_again_can_help[429-True]",
    "TestChatty::test_a_refusal_says_whether_trying_again_can_help[503-True]",
    "TestChatty::test_the_client_is_given_the_time_limit",
}


def test_components_that_lie_are_caught(tmp_path):
    (tmp_path / "test_lying.py").write_text(LYING)
    answer = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "--no-header",
            "-rf",
            "-p",
            "no:cacheprovider",
            ".",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    failed = {
        line.split(" ")[1].partition("::")[2]
        for line in answer.stdout.splitlines()
        if line.startswith("FAILED")
    }
    assert failed == CAUGHT, answer.stdout[-3000:]
