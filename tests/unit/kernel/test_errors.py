import inspect
import pickle
import re

import pytest

from codex32.kernel import errors, vector_errors
from codex32.kernel.problems import Problem

EXAMPLES = [
    errors.PluginLoadError("x", plugin="slack"),
    errors.PluginContractError("x", plugin="slack"),
    errors.ComponentNotFound("bot type", "htp", ["http"]),
    errors.BotNotFound("pingg", ["ping"]),
    errors.BotInvalid("x", [Problem("unknown key", "a")]),
    errors.TriggerInvalid("x", []),
    errors.InputsInvalid("x", [Problem("missing", "b")]),
    errors.BotReadOnly("ping", "bots/ping.yaml"),
    errors.ExecutionNotFound("exe_1"),
    errors.InvalidTransition("exe_1", "failed", "running"),
    errors.StepFault("x", retry_after_seconds=3.0),
    errors.CapabilityRefused("hosts", "example.com"),
    errors.ProviderRateLimited("x", retry_after_seconds=1.5),
    vector_errors.CollectionNotFound("docs"),
    vector_errors.DimensionMismatch(3, 4),
    vector_errors.MetricMismatch("cosine", "dot"),
    vector_errors.RecordInvalid("the query is all zeros"),
    vector_errors.FilterInvalid([Problem("no", "a")]),
    errors.SecretNotFound("TOKEN"),
    errors.SchemaOutOfDate(["0002_more"]),
    errors.FolderHeld("pid 7"),
    errors.AccessDenied("bots.write"),
]
CLASSES = [
    kind
    for kind in vars(errors).values()
    if inspect.isclass(kind)
    and issubclass(kind, errors.Codex32Error)
    and not kind.__name__.startswith("_")
]


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: type(error).__name__)
def test_an_error_survives_pickling(error):
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert vars(again) == vars(error)


def test_every_error_has_a_code_of_its_own():
    codes = [kind.code for kind in CLASSES]
    assert len(codes) == len(set(codes))
    assert all(re.fullmatch(r"[a-z][a-z-]+", code) for code in codes)


def test_the_tree_in_the_docstring_names_every_error():
    drawn = set(re.findall(r"[A-Z]\w+", errors.__doc__))
    assert [kind.__name__ for kind in CLASSES if kind.__name__ not in drawn] == []


def test_an_error_lists_its_problems():
    error = errors.BotInvalid("2 faults", [Problem("a", "x"), Problem("b", "y")])
    assert str(error) == "2 faults\nx: a\ny: b"


def test_faults_say_whether_trying_again_can_help():
    assert errors.ProviderUnavailable("x").retryable
    assert not errors.ProviderRejected("x").retryable
    assert not errors.CapabilityRefused("hosts", "a.example").retryable
    assert errors.StepFault("x", retryable=True).retryable
    assert errors.StepFault("x", code="http-cut").fault_code == "http-cut"


def test_a_refused_capability_says_what_to_add():
    assert str(errors.CapabilityRefused("hosts", "a.example")) == (
        "a.example is not in allow.hosts; add it there to permit it"
    )
