import pytest

from codex32 import HttpResponse, IndexReport, ProviderUnavailable, StepFault
from codex32.builtin.bot_types.index import IndexBotType

GONE, AWAY, GOOD = (f"https://example.com/{name}" for name in ("gone", "away", "good"))


class Collections:
    """Keeps the orders."""

    def __init__(self):
        self.orders = []

    async def index(self, order):
        self.orders.append(order)
        return IndexReport(added=len(order.documents), failed=order.failed)


@pytest.fixture
def context(context):
    async def send(request):
        if request.url == AWAY:
            raise ProviderUnavailable("example.com cannot be reached")
        status = 404 if request.url == GONE else 200
        return HttpResponse(status, {"Content-Type": "text/html"}, b"<p>words</p>", request.url)

    context.http.send = send
    context.collections = Collections()
    return context


async def test_a_page_that_cannot_be_had_keeps_none_of_the_others_away(context):
    outcome = await IndexBotType().run(
        context, {"collection": "pages", "urls": [GONE, GOOD, AWAY, GOOD]}
    )
    (order,) = context.collections.orders
    assert [each.source for each in order.documents] == [GOOD]
    assert outcome.output["failed"] == [
        {"source": GONE, "error": f"{GONE} answered 404"},
        {"source": AWAY, "error": "example.com cannot be reached"},
    ]


@pytest.mark.parametrize(
    ("urls", "retryable"), [([GONE], False), ([AWAY], True), ([GONE, AWAY], True)]
)
async def test_the_step_fails_where_no_page_can_be_had(context, urls, retryable):
    with pytest.raises(StepFault) as caught:
        await IndexBotType().run(context, {"collection": "pages", "urls": urls})
    assert caught.value.retryable is retryable
    assert not context.collections.orders
