"""aiobotocore's S3 client meets a stub as it meets S3."""

import pytest
from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
from botocore.exceptions import ClientError, EndpointConnectionError, HTTPClientError

from aiostub import Stub, UnsatisfiedStub, faults, partial

S3 = "https://shelf.s3.eu-west-1.amazonaws.com"
XML = "application/xml"


@pytest.fixture(scope="module")
def botocore():
    """Read the description of S3 once."""
    return get_session()


@pytest.fixture
async def s3(botocore):
    """Make a client that tries three times."""
    async with botocore.create_client(
        "s3",
        region_name="eu-west-1",
        aws_access_key_id="key",
        aws_secret_access_key="secret",
        config=AioConfig(retries={"mode": "standard", "total_max_attempts": 3}),
    ) as client:
        yield client


def error(code):
    """Write an error as S3 does."""
    return f"<Error><Code>{code}</Code><Message>Please try again.</Message></Error>"


def page(*keys, more=None):
    """Write a page of a listing as S3 does."""
    contents = "".join(f"<Contents><Key>{key}</Key></Contents>" for key in keys)
    token = f"<NextContinuationToken>{more}</NextContinuationToken>" if more else ""
    truncated = "true" if more else "false"
    return (
        f"<ListBucketResult><IsTruncated>{truncated}</IsTruncated>{contents}{token}"
        "</ListBucketResult>"
    )


async def test_an_object_is_put_after_100_continue(s3, aiostub):
    """The body follows once the far end has said that it wants it."""
    put = aiostub.put(f"{S3}/ada.txt").reply(headers={"ETag": '"1"'})

    answer = await s3.put_object(
        Bucket="shelf", Key="ada.txt", Body=b"on engines", Metadata={"by": "ada"}
    )

    assert answer["ETag"] == '"1"'
    sent = put.calls.last.request
    assert sent.headers["Expect"] == "100-continue"
    assert sent.headers["Authorization"].startswith("AWS4-HMAC-SHA256 Credential=key/")
    assert sent.headers["x-amz-meta-by"] == "ada"
    # A coding of Amazon's own: chunks, and a checksum after them.
    assert sent.headers["Content-Encoding"] == "aws-chunked"
    assert sent.body.startswith(b"a\r\non engines\r\n0\r\nx-amz-checksum-crc32:")


async def test_an_object_that_is_refused_is_not_uploaded(s3, aiostub):
    """The answer comes in place of 100 Continue, so the body stays where it is."""
    put = aiostub.put(f"{S3}/ada.txt").reply(
        403, text=error("AccessDenied"), content_type=XML, early=True
    )

    with pytest.raises(ClientError, match="AccessDenied") as caught:
        await s3.put_object(Bucket="shelf", Key="ada.txt", Body=b"on engines")

    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
    assert put.calls.last.request.body == b""


@pytest.mark.looptime
async def test_a_503_is_tried_again(s3, aiostub, looptime):
    """The pause before the next attempt takes no time."""
    get = aiostub.get(f"{S3}/ada.txt").reply(503, text=error("SlowDown"), content_type=XML)
    get.then.reply(body=b"on engines")

    answer = await s3.get_object(Bucket="shelf", Key="ada.txt")

    async with answer["Body"] as body:
        assert await body.read() == b"on engines"
    assert answer["ResponseMetadata"]["RetryAttempts"] == 1
    assert [call.status for call in get.calls] == [503, 200]
    assert [call.request.headers["amz-sdk-request"] for call in get.calls] == [
        "attempt=1",
        "attempt=2; max=3",
    ]
    assert looptime == pytest.approx(sum(get.calls.gaps))


@pytest.mark.looptime
async def test_a_host_that_is_down_is_tried_as_often_as_configured(s3, aiostub):
    """Each attempt is a call of its own, and the client says where it could not connect."""
    get = aiostub.get(f"{S3}/ada.txt").fail(faults.refused()).times(3)

    with pytest.raises(EndpointConnectionError, match=f'endpoint URL: "{S3}/ada.txt"'):
        await s3.get_object(Bucket="shelf", Key="ada.txt")

    assert get.call_count == 3


async def test_every_page_of_a_listing_is_asked_for(s3, aiostub):
    """The token of one page is in the query of the next."""
    query = {"list-type": "2", "prefix": "a/", "encoding-type": "url"}
    first = aiostub.get(S3, params=query).reply(
        text=page("a/1", "a/2", more="n+/="), content_type=XML
    )
    second = aiostub.get(S3, params=partial({"continuation-token": "n+/="})).reply(
        text=page("a/3"), content_type=XML
    )

    pages = s3.get_paginator("list_objects_v2").paginate(Bucket="shelf", Prefix="a/")

    keys = [found["Key"] async for page in pages for found in page["Contents"]]
    assert keys == ["a/1", "a/2", "a/3"]
    aiostub.assert_call_order(first, second)


@pytest.mark.looptime
async def test_a_request_that_no_route_answers_is_not_hidden(s3):
    """The client takes it for an error of the network, the stub does not."""
    with pytest.raises(UnsatisfiedStub, match=f"GET {S3}/ada.txt"):
        async with Stub():
            with pytest.raises(HTTPClientError, match="no route answers"):
                await s3.get_object(Bucket="shelf", Key="ada.txt")
