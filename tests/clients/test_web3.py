"""web3's asynchronous provider meets a stub as it meets a node."""

import pytest
from web3 import AsyncHTTPProvider, AsyncWeb3
from web3.exceptions import Web3RPCError

from aiostub import faults, partial

NODE = "https://node.example.com/v3/key"

pytestmark = pytest.mark.looptime


@pytest.fixture
async def web3():
    """Make a client of one node."""
    provider = AsyncHTTPProvider(NODE)
    yield AsyncWeb3(provider)
    await provider.disconnect()


def answering(request):
    """Answer any method with the number of a block."""
    return {"jsonrpc": "2.0", "id": request.json()["id"], "result": "0x10"}


async def test_a_method_is_called(web3, aiostub):
    """The name of the method is in the body."""
    post = aiostub.post(NODE, json=partial({"method": "eth_blockNumber", "params": []}))
    post.handle(answering)

    assert await web3.eth.block_number == 16
    assert post.calls.last.request.headers["Content-Type"] == "application/json"


async def test_a_lost_connection_is_tried_again(web3, aiostub):
    """The pauses between the attempts take no time."""
    post = aiostub.post(NODE).fail(faults.refused()).times(2).then.handle(answering)

    assert await web3.eth.block_number == 16
    assert post.call_count == 3


async def test_calls_in_a_batch_are_one_request(web3, aiostub):
    """The answers are put in order."""

    def every(request):
        return [{"jsonrpc": "2.0", "id": each["id"], "result": "0x1"} for each in request.json()]

    post = aiostub.post(NODE).handle(every)

    async with web3.batch_requests() as batch:
        batch.add(web3.eth.get_balance("0x" + "0" * 40))
        batch.add(web3.eth.gas_price)
        assert await batch.async_execute() == [1, 1]

    assert len(post.calls.last.request.json()) == 2


async def test_an_error_of_the_node_is_an_error_of_the_client(web3, aiostub):
    """A status of 200 does not make it good."""
    aiostub.post(NODE).reply(
        json={"jsonrpc": "2.0", "id": 0, "error": {"code": -32000, "message": "No such block"}}
    )

    with pytest.raises(Web3RPCError, match="No such block"):
        await web3.eth.block_number
