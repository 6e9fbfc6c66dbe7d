"""Bodies hold values of the types that are declared; texts of queries stand for all types."""

import pytest
from pydantic import BaseModel

from codex32.api import reading
from codex32.api.access_models import RoleBody
from codex32.api.errors import RequestInvalid
from codex32.api.reading import Strict
from codex32.api.routes.bulk import BulkIn
from codex32.api.routes.subscriptions import ReplayIn
from codex32.api.tables import house_operations


@pytest.mark.parametrize(
    ("model", "body"),
    [
        (BulkIn, {"ids": [], "dry_run": 1}),
        (BulkIn, {"ids": [], "dry_run": "true"}),
        (BulkIn, {"filter": {"since": 1_767_225_600}}),
        (ReplayIn, {"since": "1767225600"}),
        (RoleBody, {"role": 1}),
    ],
)
def test_a_value_of_another_type_is_refused(model, body):
    with pytest.raises(RequestInvalid):
        reading._checked(model, body)


def test_what_json_has_no_type_for_is_read_from_texts():
    chosen = {"status": ["failed"], "cause": "error", "since": "2026-01-01T00:00:00Z"}
    read = reading._checked(BulkIn, {"filter": chosen, "dry_run": True})
    assert (read.filter.status, read.filter.since.year) == (["failed"], 2026)
    assert reading._checked(RoleBody, {"role": "viewer"}).role == "viewer"


def test_every_body_is_strict():
    for operation in house_operations():
        body = operation.route.body
        assert body is None or issubclass(body, Strict), operation.id
        for model in _inside(body) if body else ():
            assert model.model_config.get("strict"), (operation.id, model)


def _inside(model):
    yield model
    for field in model.model_fields.values():
        for part in (field.annotation, *getattr(field.annotation, "__args__", ())):
            if isinstance(part, type) and issubclass(part, BaseModel):
                yield from _inside(part)
