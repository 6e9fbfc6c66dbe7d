"""Pinecone's API on this machine: control plane, data plane, and the language of its filters.

Every index has its own host in the real service; here the index stands in the host's path.
"""

import json
import math
import re

import pytest

from codex32_testing.conformance.served_vector_store import KEY
from codex32_testing.loopback_service import LoopbackService

_INDEX = re.compile(r"/on/([a-z0-9-]+)(/.*)")
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,43}[a-z0-9]")


class Pinecone:
    """What the service knows; refuses what the real one refuses."""

    def __init__(self):
        self.indexes = {}
        self.base = ""

    def __call__(self, request):
        if request.headers.get("api-key") != KEY:
            return 401, {"error": {"code": "UNAUTHENTICATED", "message": "Invalid API key"}}
        body = json.loads(request.body or b"{}")
        if found := _INDEX.fullmatch(request.path):
            index = self.indexes.get(found[1])
            if index is None:
                return 404, {"code": 5, "message": "index not found", "details": []}
            return index(request.method, found[2], request.query, body)
        return self.control(request.method, request.path, body)

    def control(self, method, path, body):
        if (method, path) == ("POST", "/indexes"):
            (field,) = body["schema"]["fields"].values()
            if not _NAME.fullmatch(body["name"]):
                return 400, {"error": {"code": "INVALID_ARGUMENT", "message": "bad name"}}
            if body["name"] in self.indexes:
                return 409, {"error": {"code": "ALREADY_EXISTS", "message": "already exists"}}
            self.indexes[body["name"]] = Index(field["dimension"], field["metric"])
            return 201, self.described(body["name"])
        name = path.removeprefix("/indexes/")
        if name not in self.indexes:
            return 404, {"error": {"code": "NOT_FOUND", "message": f"Resource {name} not found"}}
        if method == "DELETE":
            del self.indexes[name]
            return 202, {}
        return 200, self.described(name)

    def described(self, name):
        index = self.indexes[name]
        field = {"type": "dense_vector", "dimension": index.dimension, "metric": index.metric}
        place = {"deployment_type": "managed", "cloud": "aws", "region": "us-east-1"}
        return {
            "name": name,
            "host": f"{self.base}/on/{name}",
            "status": {"ready": True, "state": "Ready"},
            "schema": {"fields": {"_values": field}},
            "deployment": {**place, "environment": "aped-4627-b74a"},
            "deletion_protection": "disabled",
            "tags": None,
        }


class Index:
    """The data plane of one index."""

    def __init__(self, dimension, metric):
        self.dimension, self.metric = dimension, metric
        self.vectors = {}

    def __call__(self, method, path, query, body):
        return getattr(self, path.strip("/").replace("/", "_"))(query, body)

    def vectors_upsert(self, query, body):
        for vector in body["vectors"]:
            if fault := self.fault(vector):
                return 400, {"code": 3, "message": fault, "details": []}
        self.vectors |= {vector["id"]: vector for vector in body["vectors"]}
        return 200, {"upsertedCount": len(body["vectors"])}

    def fault(self, vector):
        if len(vector["values"]) != self.dimension:
            return "Vector dimension does not match"
        if not any(vector["values"]):
            return "Dense vectors must contain at least one non-zero value"
        if not vector["id"].isascii() or not 1 <= len(vector["id"]) <= 512:
            return "Vector ID must be ASCII"
        for key, value in vector["metadata"].items():
            texts = isinstance(value, list) and all(isinstance(each, str) for each in value)
            if key.startswith("$") or not (texts or isinstance(value, str | int | float | bool)):
                return f"Metadata value must be a string, number, boolean or list: {key}"
        if len(json.dumps(vector["metadata"], ensure_ascii=False).encode()) > 40 * 1024 * 2:
            return "Metadata size is larger than the limit"
        return None

    def query(self, query, body):
        where = body.get("filter") or {}
        scored = [
            (score(self.metric, body["vector"], vector["values"]), vector)
            for vector in self.vectors.values()
            if passes(where, vector["metadata"])
        ]
        scored.sort(key=lambda pair: pair[0], reverse=self.metric != "euclidean")
        matches = [
            {"id": vector["id"], "score": value, "values": [], "metadata": vector["metadata"]}
            for value, vector in scored[: body["topK"]]
        ]
        return 200, {"matches": matches, "namespace": "", "usage": {"readUnits": 5}}

    def vectors_fetch(self, query, body):
        asked = query["ids"].split("\n")
        found = {one: self.vectors[one] for one in asked if one in self.vectors}
        return 200, {"vectors": found, "namespace": "", "usage": {"readUnits": 1}}

    def vectors_delete(self, query, body):
        for one in body["ids"]:
            self.vectors.pop(one, None)
        return 200, {}

    def vectors_list(self, query, body):
        limit = int(query.get("limit", 100))
        if not 1 <= limit <= 100:
            return 400, {"code": 3, "message": "limit must be 1 to 100", "details": []}
        after = query.get("paginationToken", "")
        ids = sorted(one for one in self.vectors if one > after)
        page = {"vectors": [{"id": one} for one in ids[:limit]], "namespace": ""}
        if len(ids) > limit:
            page["pagination"] = {"next": ids[limit - 1]}
        return 200, {**page, "usage": {"readUnits": 1}}

    def describe_index_stats(self, query, body):
        count = len(self.vectors)
        return 200, {
            "namespaces": {"": {"vectorCount": count}},
            "dimension": self.dimension,
            "indexFullness": 0,
            "totalVectorCount": count,
        }


def score(metric, one, other):
    if metric == "euclidean":
        return math.dist(one, other) ** 2
    dot = sum(a * b for a, b in zip(one, other, strict=True))
    return dot if metric == "dotproduct" else dot / (math.hypot(*one) * math.hypot(*other))


def passes(where, metadata):
    """Pinecone's filters: entries all hold; of lists, an element."""
    for key, asked in where.items():
        if key == "$and":
            held = all(passes(part, metadata) for part in asked)
        elif key == "$or":
            held = any(passes(part, metadata) for part in asked)
        elif key.startswith("$"):
            raise AssertionError(f"Pinecone knows no {key}")
        else:
            held = all(compare(op, metadata.get(key), value) for op, value in asked.items())
        if not held:
            return False
    return True


def compare(operator, has, value):
    has = has if isinstance(has, list) else [] if has is None else [has]
    if operator == "$in":
        return any(each in value for each in has)
    if operator == "$nin":
        return not any(each in value for each in has)
    (number,) = has or [None]
    if not isinstance(number, int | float):
        return False
    return {
        "$gte": number >= value,
        "$gt": number > value,
        "$lte": number <= value,
        "$lt": number < value,
    }[operator]


@pytest.fixture
def service():
    """The service; its ``faults`` are what it answers next."""
    pinecone = Pinecone()
    with LoopbackService(pinecone) as service:
        pinecone.base = service.url
        yield service
