"""``_bulk`` against a server that is crowded, torn, cut, or lets nobody in."""

import pytest
from codex32_elastic import KEY, serving_elastic

from codex32.kernel.errors import ProviderRejected, ProviderUnavailable
from codex32.outside import elasticsearch
from codex32.outside.elasticsearch import Bulk, Entry
from codex32.outside.http_on_demand import HttpOnDemand


@pytest.fixture
def elastic():
    with serving_elastic() as made:
        yield made


@pytest.fixture
def pauses():
    return []


@pytest.fixture
async def bulk(elastic, pauses):
    async def sleep(seconds):
        pauses.append(seconds)

    client = HttpOnDemand(["127.0.0.1"])
    yield Bulk(client.anywhere(), elastic.url + "/", KEY, sleep)
    await client.close()


def entries(count, size=10):
    return [Entry("codex32-logs", f"d{n}", {"message": "x" * size, "n": n}) for n in range(count)]


async def test_all_arrive_and_what_is_sent_twice_is_there_once(bulk, elastic):
    assert await bulk.send(entries(2500)) == []
    assert await bulk.send(entries(10)) == []
    assert len(elastic.index("codex32-logs")) == 2500
    assert elastic.requests == 4


async def test_large_documents_go_in_requests_that_are_not(bulk, elastic, monkeypatch):
    monkeypatch.setattr(elasticsearch, "MOST_BYTES", 10_000)
    await bulk.send([*entries(3, 6000), *entries(2, 20_000)])
    assert elastic.requests == 5


@pytest.mark.parametrize("fault", ["429", "503", "torn", "crowded"])
async def test_who_is_busy_or_torn_is_asked_again(bulk, elastic, pauses, fault):
    elastic.faults = [fault, fault]
    assert await bulk.send(entries(30)) == []
    assert len(elastic.index("codex32-logs")) == 30
    assert len(pauses) == 2
    if fault == "crowded":  # those alone that found no room
        assert set(elastic.writes.values()) == {1}


async def test_what_is_too_much_goes_in_halves(bulk, elastic):
    elastic.faults = ["413", "413"]
    assert await bulk.send(entries(9)) == []
    assert len(elastic.index("codex32-logs")) == 9


async def test_one_that_is_too_large_alone_is_refused_at_once_and_the_others_are_in(
    bulk, elastic, pauses
):
    elastic.most_bytes = 1000
    refused = await bulk.send(
        [*entries(3), Entry("codex32-logs", "vast", {"message": "x" * 2000})]
    )
    assert refused == [("vast", "too large for the server (413)")]
    assert set(elastic.index("codex32-logs")) == {"d0", "d1", "d2"}
    assert pauses == []


async def test_what_is_refused_is_told_of_and_the_others_are_in(bulk, elastic):
    elastic.refuses = {"d3", "d7"}
    elastic.faults = ["crowded"]
    refused = await bulk.send(entries(10))
    assert sorted(each.id for each in refused) == ["d3", "d7"]
    assert refused[0].why.startswith("document_parsing_exception: failed to parse")
    assert len(elastic.index("codex32-logs")) == 8


async def test_one_that_stays_busy_is_given_up(bulk, elastic, pauses):
    elastic.faults = ["429"] * 100
    with pytest.raises(ProviderUnavailable, match="5 documents could not be delivered"):
        await bulk.send(entries(5))
    assert elastic.requests == elasticsearch.TRIES


async def test_a_wrong_key_is_said_at_once_and_not_shown(elastic):
    client = HttpOnDemand(["127.0.0.1"])
    try:
        with pytest.raises(ProviderRejected, match="ELASTICSEARCH_API_KEY") as caught:
            await Bulk(client.anywhere(), elastic.url, "wrong-key-7f").send(entries(1))
    finally:
        await client.close()
    assert "wrong-key" not in str(caught.value)
    assert elastic.requests == 1
