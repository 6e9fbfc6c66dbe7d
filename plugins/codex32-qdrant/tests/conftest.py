"""Qdrant's REST API on this machine, over the engine that Qdrant's client brings for tests."""

import json
import re
import warnings

import pytest
from qdrant_client import QdrantClient, models

from codex32_testing.conformance.served_vector_store import KEY
from codex32_testing.loopback_service import LoopbackService

_PATH = re.compile(r"/collections/([a-z0-9_]+)(/.*)?")


class Qdrant:
    """Reads requests as the server does, with the client's own models, and answers as it does."""

    def __init__(self):
        self.engine = QdrantClient(":memory:", force_disable_check_same_thread=True)

    def __call__(self, request):
        if request.headers.get("api-key") != KEY:
            return 401, {"status": {"error": "Must provide an API key"}, "time": 0.0}
        found = _PATH.fullmatch(request.path)
        if found is None:
            return 404, {"status": {"error": "no such path"}, "time": 0.0}
        name, rest = found[1], found[2] or ""
        there = self.engine.collection_exists(name)
        if not there and rest != "/exists" and (request.method, rest) != ("PUT", ""):
            error = f"Not found: Collection `{name}` doesn't exist!"
            status = 200 if request.method == "DELETE" else 404
            told = "ok" if status == 200 else {"error": error}
            return status, {"result": False, "status": told, "time": 0.0}
        body = json.loads(request.body) if request.body else {}
        if (request.method, rest) == ("PUT", "") and there:
            error = f"Wrong input: Collection `{name}` already exists!"
            return 409, {"status": {"error": error}, "time": 0.0}
        result = self.carry_out(request.method, name, rest, body)
        if hasattr(result, "model_dump_json"):
            result = json.loads(result.model_dump_json())
        return 200, {"result": result, "status": "ok", "time": 0.001}

    def carry_out(self, method, name, rest, body):
        engine = self.engine
        match method, rest:
            case "GET", "/exists":
                return {"exists": engine.collection_exists(name)}
            case "GET", "":
                return engine.get_collection(name)
            case "PUT", "":
                asked = models.CreateCollection.model_validate(body)
                return engine.create_collection(name, vectors_config=asked.vectors)
            case "DELETE", "":
                return engine.delete_collection(name)
            case "PUT", "/index":
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # the engine has no indexes, and says so
                    return engine.create_payload_index(name, body["field_name"], "keyword")
            case "PUT", "/points":
                asked = models.PointsList.model_validate(body)
                return engine.upsert(name, asked.points)
            case "POST", "/points/query":
                asked = models.QueryRequest.model_validate(body)
                return engine.query_points(
                    name,
                    query=asked.query,
                    query_filter=asked.filter,
                    limit=asked.limit,
                    with_payload=asked.with_payload,
                )
            case "POST", "/points":
                asked = models.PointRequest.model_validate(body)
                found = engine.retrieve(name, asked.ids, with_payload=False)
                return [json.loads(point.model_dump_json()) for point in found]
            case "POST", "/points/delete":
                return engine.delete(name, models.PointIdsList(points=body["points"]))
            case "POST", "/points/count":
                return engine.count(name)
            case "POST", "/points/scroll":
                asked = models.ScrollRequest.model_validate(body)
                points, following = engine.scroll(
                    name, limit=asked.limit, offset=asked.offset, with_payload=asked.with_payload
                )
                found = [json.loads(point.model_dump_json()) for point in points]
                return {"points": found, "next_page_offset": following}
        raise AssertionError(f"no {method} {rest} is known")


@pytest.fixture
def service():
    """The service; its ``faults`` are what it answers next."""
    qdrant = Qdrant()
    with LoopbackService(qdrant) as service:
        yield service
    qdrant.engine.close()
