import asyncio
import gzip
import os

import pytest

from codex32 import (
    CapabilityRefused,
    HttpRequest,
    ProviderRejected,
    ProviderUnavailable,
)

SECRET = "sec-ret"


def names(request: bytes) -> dict[str, str]:
    lines = request.split(b"\r\n\r\n")[0].decode().split("\r\n")[1:]
    return {k.lower(): v.strip() for k, v in (line.split(":", 1) for line in lines)}


# what is sent and read


async def test_an_answer_is_read_whatever_its_status(client, server, bytes_of):
    server.routes["/x"] = bytes_of(418, b"Tee", X_A="1", content_type="text/plain")
    response = await client.send(HttpRequest(server.url("/x#part")))
    assert (response.status, response.text(), response.headers["x-a"]) == (418, "Tee", "1")
    assert response.url == server.url("/x")


async def test_query_headers_and_bodies_are_sent(client, server, bytes_of):
    server.routes["/x"] = bytes_of()
    requests = [
        HttpRequest(server.url("/x?a=1"), query={"b": [1, True], "c": None, "d": "ä"}),
        HttpRequest(server.url("/x"), "POST", json=None, has_json=True),
        HttpRequest(server.url("/x"), "POST", form={"a": "b c"}),
        HttpRequest(server.url("/x"), "PUT", body=b"raw", headers={"Content-Type": "text/x"}),
    ]
    for request in requests:
        await client.send(request)
    one, two, three, four = server.requests
    assert one.startswith(b"GET /x?a=1&b=1&b=true&d=%C3%A4 HTTP/1.1")
    assert two.endswith(b"\r\n\r\nnull")
    assert names(two)["content-type"] == "application/json"
    assert three.endswith(b"\r\n\r\na=b+c")
    assert four.endswith(b"\r\n\r\nraw")
    assert names(four)["content-type"] == "text/x"
    assert names(four)["user-agent"] == "codex32"


async def test_no_cookie_is_kept(client, server, bytes_of):
    server.routes["/x"] = bytes_of(set_cookie="a=b; Path=/")
    await client.send(HttpRequest(server.url("/x")))
    await client.send(HttpRequest(server.url("/x")))
    assert "cookie" not in names(server.requests[1])


async def test_no_proxy_of_the_environment_is_used(client, server, bytes_of, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    server.routes["/x"] = bytes_of()
    assert (await client.send(HttpRequest(server.url("/x")))).status == 200


async def test_reading_shares_connections_and_effects_do_not(client, server, bytes_of):
    server.routes["/x"] = bytes_of()
    for _ in range(3):
        await client.send(HttpRequest(server.url("/x")))
    assert server.connections == 1
    for _ in range(3):
        await client.send(HttpRequest(server.url("/x"), "POST"))
    assert server.connections == 4


@pytest.mark.parametrize(
    "headers",
    [{"Host": "other.example"}, {"content-length": "1"}, {"Transfer-Encoding": "chunked"}],
)
async def test_headers_that_would_mislead_are_refused(client, server, headers):
    with pytest.raises(ProviderRejected, match="set by the client"):
        await client.send(HttpRequest(server.url("/x"), headers=headers))


@pytest.mark.parametrize(
    "request_parts",
    [
        {"headers": {"A": f"{SECRET}\r\nB: c"}},
        {"headers": {"A": f"{SECRET}\ud800"}},
        {"headers": {"A b": SECRET}},
        {"form": {"a": f"{SECRET}\ud800"}},
        {"query": {"a": float("nan")}},
    ],
)
async def test_what_cannot_be_sent_is_never_sent(client, server, bytes_of, request_parts):
    server.routes["/x"] = bytes_of()
    with pytest.raises(ProviderRejected) as caught:
        await client.send(HttpRequest(server.url("/x"), "POST", **request_parts))
    assert SECRET not in str(caught.value)
    assert server.requests == []


# names


async def test_a_bot_speaks_only_to_its_hosts(client, server, bytes_of):
    server.routes["/x"] = bytes_of()
    request = HttpRequest(server.url("/x"))
    allowed = client.for_hosts([f"127.0.0.1:{server.port}"])
    assert (await allowed.send(request)).status == 200
    for hosts in ([], ["example.com"], ["127.0.0.1:1"], ["*.0.0.1"]):
        with pytest.raises(CapabilityRefused) as caught:
            await client.for_hosts(hosts).send(request)
        assert f"allow: {{hosts: [127.0.0.1:{server.port}]}}" in caught.value.message
    assert len(server.requests) == 1


async def test_a_kept_connection_is_no_way_around_the_names(client, server, bytes_of):
    server.routes["/x"] = bytes_of()
    await client.send(HttpRequest(server.url("/x")))
    with pytest.raises(CapabilityRefused):
        await client.for_hosts(["example.com"]).send(HttpRequest(server.url("/x")))


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "gopher://example.com/",
        "unix:///run/x.sock",
        "ftp://example.com",
        "//example.com",
        "example.com",
        "http://",
        "http://example.com:99999/",
        "http://[::1",
        f"http://user:{SECRET}@example.com/",
        "http://user@example.com/",
        "",
    ],
)
async def test_what_is_no_plain_url_is_rejected(client, url):
    with pytest.raises(ProviderRejected) as caught:
        await client.send(HttpRequest(url))
    assert SECRET not in str(caught.value)


# addresses


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "0x7f000001",
        "2130706433",
        "127.1",
        "0",
        "0.0.0.0",
        "127。0。0。1",
        "169.254.169.254",
        "[::ffff:169.254.169.254]",
        "[fe80::1]",
        "10.0.0.1",
        "100.64.0.1",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "[2001::1]",
        "224.0.0.1",
    ],
)
async def test_no_notation_of_a_private_address_is_reached(open_client, server, host):
    with pytest.raises((CapabilityRefused, ProviderRejected, ProviderUnavailable)) as caught:
        await open_client().send(
            HttpRequest(f"http://{host}:{server.port}/latest", timeout_seconds=5)
        )
    assert getattr(caught.value, "fault_code", "") != "http-cut"
    assert server.connections == 0


async def test_a_private_address_is_told_with_its_remedy(open_client, server):
    with pytest.raises(CapabilityRefused) as caught:
        await open_client().send(HttpRequest(server.url(f"/{SECRET}")))
    assert f"private_hosts: ['127.0.0.1:{server.port}']" in caught.value.message
    assert SECRET not in caught.value.message


@pytest.mark.parametrize("address", ["127.0.0.1", "169.254.169.254", "::1", "::ffff:10.0.0.1"])
async def test_a_name_that_leads_inside_is_refused(open_client, resolver, server, address):
    client = open_client(resolver=resolver(address))
    with pytest.raises(CapabilityRefused, match=r"leads to .* no public address"):
        await client.send(HttpRequest(server.url("/x", "good.example")))


async def test_a_name_that_is_bound_anew_is_refused_when_it_leads_inside(
    open_client, resolver, server, bytes_of
):
    # The address of a first look-up is permitted, that of the second is not.
    server.routes["/x"] = bytes_of(connection="close")
    found = resolver("127.0.0.1", "127.0.0.2")
    client = open_client(private_hosts=[f"127.0.0.1:{server.port}"], resolver=found)
    request = HttpRequest(server.url("/x", "rebind.example"), "POST")
    assert (await client.send(request)).status == 200
    for session in client._sessions.values():
        session.connector.clear_dns_cache()
    with pytest.raises(CapabilityRefused, match=r"127\.0\.0\.2"):
        await client.send(request)
    assert len(found.asked) == 2


async def test_an_operator_may_permit_a_host_by_its_name(open_client, resolver, server, bytes_of):
    server.routes["/x"] = bytes_of()
    client = open_client(
        private_hosts=[f"intranet.example:{server.port}"], resolver=resolver("127.0.0.1")
    )
    response = await client.send(HttpRequest(server.url("/x", "intranet.example")))
    assert response.status == 200
    with pytest.raises(CapabilityRefused):
        await client.send(HttpRequest(server.url("/x", "other.example")))


# redirects


async def test_redirects_are_handed_back_unless_they_shall_be_followed(client, server, bytes_of):
    server.routes["/a"] = bytes_of(302, location="/b")
    server.routes["/b"] = bytes_of(200, b"there")
    assert (await client.send(HttpRequest(server.url("/a")))).status == 302
    response = await client.send(HttpRequest(server.url("/a"), follow=1))
    assert (response.text(), response.url) == ("there", server.url("/b"))


async def test_a_circle_of_redirects_ends(client, server, bytes_of):
    server.routes["/a"] = bytes_of(302, location="/a")
    with pytest.raises(ProviderRejected, match="more than 3"):
        await client.send(HttpRequest(server.url("/a"), follow=3))
    assert len(server.requests) == 4


@pytest.mark.parametrize(
    ("status", "method", "then"),
    [
        (301, "POST", "GET"),
        (302, "POST", "GET"),
        (303, "PUT", "GET"),
        (302, "PUT", "PUT"),
        (307, "POST", "POST"),
        (308, "POST", "POST"),
        (303, "HEAD", "HEAD"),
    ],
)
async def test_a_redirect_changes_the_method_as_browsers_do(
    client, server, bytes_of, status, method, then
):
    server.routes["/a"] = bytes_of(status, location="/b")
    server.routes["/b"] = bytes_of()
    body = None if method == "HEAD" else b"data"
    await client.send(HttpRequest(server.url("/a"), method, body=body, follow=1))
    second = server.requests[1]
    assert second.startswith(then.encode() + b" /b")
    assert second.endswith(b"data") is (then == method and body is not None)


async def test_no_credential_goes_on_to_another_host(open_client, resolver, server, bytes_of):
    port = server.port
    client = open_client(private_hosts=["127.0.0.1"], resolver=resolver("127.0.0.1"))
    server.routes["/a"] = bytes_of(307, location=server.url("/b", "two.example"))
    server.routes["/b"] = bytes_of(307, location="/c")
    server.routes["/c"] = bytes_of()
    secrets = {"Authorization": SECRET, "X-Api-Key": SECRET, "Cookie": SECRET, "Accept": "a/b"}
    await client.send(HttpRequest(server.url("/a", "one.example"), headers=secrets, follow=2))
    first, *others = server.requests
    assert first.count(SECRET.encode()) == 3
    assert [names(request)["host"] for request in others] == [f"two.example:{port}"] * 2
    for request in others:
        assert SECRET.encode() not in request
        assert names(request)["accept"] == "a/b"


@pytest.mark.parametrize(
    ("location", "error"),
    [
        ("http://169.254.169.254/latest/meta-data/", CapabilityRefused),
        ("http://localhost:1/", CapabilityRefused),
        ("http://10.0.0.1/", CapabilityRefused),
        ("file:///etc/passwd", ProviderRejected),
        ("http://user:pass@127.0.0.1/", ProviderRejected),
        ("http://[", ProviderRejected),
    ],
)
async def test_a_redirect_is_checked_like_a_first_request(
    client, server, bytes_of, location, error
):
    server.routes["/a"] = bytes_of(302, location=location)
    with pytest.raises(error):
        await client.send(HttpRequest(server.url("/a"), follow=5))


async def test_a_redirect_to_a_host_that_is_not_allowed_is_refused(client, server, bytes_of):
    server.routes["/a"] = bytes_of(302, location="https://other.example/")
    allowed = client.for_hosts([f"127.0.0.1:{server.port}"])
    with pytest.raises(CapabilityRefused, match=r"other\.example"):
        await allowed.send(HttpRequest(server.url("/a"), follow=5))


# faults


async def test_a_port_where_nobody_listens_was_surely_not_told(open_client, unused_tcp_port):
    client = open_client(private_hosts=["127.0.0.1"])
    url = f"http://127.0.0.1:{unused_tcp_port}/path?token={SECRET}"
    with pytest.raises(ProviderUnavailable) as caught:
        await client.send(HttpRequest(url, "POST"))
    assert (caught.value.fault_code, caught.value.retryable) == ("http-unreachable", True)
    assert f"POST 127.0.0.1:{unused_tcp_port}/path cannot be reached" in caught.value.message
    assert SECRET not in caught.value.message


async def test_a_name_that_does_not_exist_was_surely_not_told(open_client):
    with pytest.raises(ProviderUnavailable) as caught:
        await open_client().send(HttpRequest("http://nowhere.invalid/"))
    assert caught.value.fault_code == "http-unreachable"


def cut(data: bytes):
    async def answer(_request, writer):
        writer.write(data)
        await writer.drain()
        writer.close()

    return answer


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"HTTP/1.1 20",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnope",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
    ],
    ids=["nothing", "status", "length", "chunks", "gzip", "nonsense", "header", "negative"],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_an_answer_that_breaks_off_may_have_been_carried_out(client, server, data, method):
    server.routes["/x"] = cut(data)
    with pytest.raises(ProviderUnavailable) as caught:
        await client.send(HttpRequest(server.url(f"/x?t={SECRET}"), method))
    assert (caught.value.fault_code, caught.value.retryable) == ("http-cut", True)
    assert SECRET not in caught.value.message


async def test_a_slow_drip_ends_at_the_limit_of_the_whole_exchange(client, server, head_of):
    dripping = asyncio.Event()

    async def drip(_request, writer):
        writer.write(head_of(content_length="1000"))
        while not dripping.is_set():
            writer.write(b".")
            await writer.drain()
            await asyncio.sleep(0.02)

    server.routes["/x"] = drip
    with pytest.raises(ProviderUnavailable) as caught:
        await client.send(HttpRequest(server.url("/x"), timeout_seconds=0.3))
    dripping.set()
    assert caught.value.fault_code == "http-timeout"


async def test_a_server_that_never_answers_is_late_and_one_never_reached_is_not(
    open_client, server
):
    async def silence(_request, writer):
        await writer.wait_closed()

    server.routes["/x"] = silence
    client = open_client(private_hosts=["127.0.0.1"])
    with pytest.raises(ProviderUnavailable) as caught:
        await client.send(HttpRequest(server.url("/x"), "POST", timeout_seconds=0.2))
    assert caught.value.fault_code == "http-timeout"


async def test_time_that_runs_out_before_anything_was_sent_is_unreachable(
    open_client, resolver, server
):
    found = resolver("127.0.0.1")

    async def never(host, port=0, family=0):
        await asyncio.Event().wait()

    found.resolve = never
    client = open_client(resolver=found)
    with pytest.raises(ProviderUnavailable) as caught:
        await client.send(HttpRequest("http://slow.example/", "POST", timeout_seconds=0.1))
    assert caught.value.fault_code == "http-unreachable"


@pytest.mark.parametrize("extra", [0, 1])
async def test_an_answer_may_be_as_long_as_was_said_and_no_longer(client, server, bytes_of, extra):
    server.routes["/x"] = bytes_of(200, b"x" * (1000 + extra))
    sending = client.send(HttpRequest(server.url("/x"), max_bytes=1000))
    if not extra:
        assert len((await sending).body) == 1000
        return
    with pytest.raises(ProviderRejected, match="1000 bytes"):
        await sending


async def test_a_bomb_is_counted_as_it_unfolds(client, server, bytes_of, bomb):
    server.routes["/x"] = bytes_of(200, bomb, content_encoding="gzip")
    assert len(bomb) < 20_000
    with pytest.raises(ProviderRejected, match="max_bytes"):
        await client.send(HttpRequest(server.url("/x"), max_bytes=1_000_000))


async def test_an_honest_packed_answer_is_unpacked(client, server, bytes_of):
    server.routes["/x"] = bytes_of(200, gzip.compress(b"hello"), content_encoding="gzip")
    assert (await client.send(HttpRequest(server.url("/x")))).body == b"hello"


async def test_a_stream_without_an_end_is_broken_off(client, server, head_of):
    async def endless(_request, writer):
        writer.write(head_of(transfer_encoding="chunked"))
        while True:
            writer.write(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")
            await writer.drain()

    server.routes["/x"] = endless
    with pytest.raises(ProviderRejected, match="max_bytes"):
        await client.send(HttpRequest(server.url("/x"), max_bytes=100_000))


async def test_many_exchanges_leave_no_descriptors(open_client, server, bytes_of):
    server.routes["/x"] = bytes_of()
    server.routes["/cut"] = cut(b"")
    client = open_client(private_hosts=["127.0.0.1"])

    async def some(path, method):
        for _ in range(25):
            try:
                await client.send(HttpRequest(server.url(path), method))
            except ProviderUnavailable:
                continue

    await asyncio.gather(*(some(p, m) for p in ("/x", "/cut") for m in ("GET", "POST")))
    await client.close()
    await asyncio.sleep(0)
    before = len(os.listdir("/proc/self/fd"))
    again = open_client(private_hosts=["127.0.0.1"])
    for _ in range(20):
        await again.send(HttpRequest(server.url("/x"), "POST"))
    await again.close()
    async with asyncio.timeout(60):
        # The server's ends close when it gets its turn.
        while len(os.listdir("/proc/self/fd")) > before:
            await asyncio.sleep(0)
