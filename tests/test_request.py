"""The request as handlers and the log see it, and its views on the body."""

from __future__ import annotations

import gc
import gzip
import io
import json
import sys
import zlib
from types import SimpleNamespace

import aiohttp
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from aiostub._matching.request import Request, parsed_json

BINARY = bytes(range(256)) + b"\r\n--\r\n\r\n\r\r\n\n--boundary--\r\n"


def made(body=b"", *, method="POST", url="http://x.test/", sent=True, **headers):
    """Make a request by hand; underscores in header names are hyphens."""
    lines = CIMultiDict({name.replace("_", "-"): value for name, value in headers.items()})
    return Request(method, URL(url), lines, body=body, sent=sent)


@pytest.fixture
async def send():
    """Send with a real client to a real server, and give what came over the wire."""
    arrived = []

    async def keep(request):
        body = await request.read()
        url = URL("http://x.test/")
        arrived.append(Request(request.method, url, request.headers, body=body, sent=True))
        return web.Response()

    runner = web.ServerRunner(web.Server(keep, auto_decompress=False))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]

    async def send(method="POST", **kwargs):
        url = f"http://{host}:{port}/"
        async with aiohttp.ClientSession() as session, session.request(method, url, **kwargs):
            pass
        return arrived[-1]

    yield send
    await runner.cleanup()


def raw_deflate(content):
    """Compress as some do who take "deflate" literally."""
    compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return compressor.compress(content) + compressor.flush()


def file(content, filename):
    """Give a file as aiohttp takes it."""
    opened = io.BytesIO(content)
    opened.name = filename
    return opened


class TestFacts:
    def test_it_holds_what_it_was_given(self):
        """Everything that is not in the body is there as it was handed over."""
        timeout = aiohttp.ClientTimeout(total=1)
        request = Request(
            "PUT",
            URL("http://x.test/a"),
            CIMultiDict({"A": "1"}),
            body=b"b",
            sent=True,
            path_params={"id": "7"},
            timeout=timeout,
            proxy=URL("http://p"),
        )
        expected = ("PUT", URL("http://x.test/a"), b"b", True, True, {"id": "7"}, timeout, None)
        assert expected == (
            request.method,
            request.url,
            request.body,
            request.complete,
            request.sent,
            request.path_params,
            request.timeout,
            request.session,
        )
        assert URL("http://p") == request.proxy
        assert {"a": "1"} == {name.lower(): value for name, value in request.headers.items()}

    def test_a_body_that_has_not_arrived_is_empty_and_incomplete(self):
        """Nobody has to ask for the body twice to be safe."""
        request = made(None)
        assert (b"", "", False) == (request.body, request.text, request.complete)

    @pytest.mark.parametrize(
        "name", [*(name for name in dir(Request) if not name.startswith("_")), "new"]
    )
    def test_nothing_can_be_assigned_from_outside(self, name):
        """A request is a record: what happened cannot be changed."""
        with pytest.raises(AttributeError):
            setattr(made(), name, 1)

    def test_headers_cannot_be_changed(self):
        """A mutable multidict is shown through a proxy, a proxy taken as it is."""
        headers = CIMultiDict({"A": "1"})
        request = Request("GET", URL("http://x.test"), headers)
        assert request.headers["a"] == "1"
        assert not hasattr(request.headers, "add")
        proxy = CIMultiDictProxy(headers)
        assert Request("GET", URL("http://x.test"), proxy).headers is proxy

    def test_the_session_is_not_kept_alive(self):
        """The log of a stub must not be what keeps a session from being collected."""

        class Session:
            pass

        session = Session()
        request = Request("GET", URL("http://x.test"), CIMultiDict(), session=session)
        assert request.session is session
        del session
        gc.collect()
        assert request.session is None

    def test_a_copy_differs_in_its_path_parameters_alone(self):
        """Routes that capture something see the same request."""
        request = made(b'{"a": 1}', X="1")
        copy = request.with_path_params({"id": "7"})
        assert ({}, {"id": "7"}) == (dict(request.path_params), copy.path_params)
        assert (request.url, request.headers, request.body) == (copy.url, copy.headers, copy.body)
        assert parsed_json(request) is parsed_json(copy)

    def test_what_was_read_too_early_is_read_again(self):
        """A handler may look at a body of which only the head has come."""
        lines = CIMultiDict({"Content-Type": "application/json"})
        request = Request("POST", URL("http://x.test/"), lines, body=b"0")
        copy = request.with_path_params({"id": "7"})
        assert ("0", 0, 0) == (request.text, parsed_json(request), parsed_json(copy))
        request._arrived(CIMultiDictProxy(lines), b"[1]", 5)
        assert ("[1]", [1]) == (request.text, parsed_json(request))
        assert (True, True) == (request.sent, request.truncated)
        assert (b"0", 0) == (copy.body, parsed_json(copy))

    def test_it_names_itself_in_one_line(self):
        """A request in a failing assertion can be told from others."""
        assert repr(made(method="GET", url="https://x.test/a?b=1")) == (
            "<Request GET https://x.test/a?b=1>"
        )


class TestCookies:
    @pytest.mark.parametrize(
        ("line", "expected"),
        [
            ("a=1; b=2", {"a": "1", "b": "2"}),
            ("a=1;b=2", {"a": "1", "b": "2"}),
            ("a=", {"a": ""}),
            ("a=x=y", {"a": "x=y"}),
            ('a="x y"', {"a": "x y"}),
            (r'a="x\073 \"y\""', {"a": 'x; "y"'}),
            ("path=/; a:b=1", {"path": "/", "a:b": "1"}),
            ("a; b=1", {"b": "1"}),
            ("a=1; a=2", {"a": "2"}),
        ],
    )
    def test_a_cookie_line_is_taken_apart(self, line, expected):
        """Names that http.cookies refuses are cookies all the same."""
        assert expected == made(Cookie=line).cookies

    def test_without_a_cookie_header_there_are_none(self):
        """No header is no cookie."""
        assert {} == made().cookies

    async def test_cookies_of_a_real_client_come_back_as_given(self, send):
        """Quoting is undone."""
        cookies = {"plain": "1", "odd": 'a b;"c",d'}
        assert cookies == (await send(cookies=cookies)).cookies


class TestText:
    @pytest.mark.parametrize(
        ("body", "content_type", "expected"),
        [
            ("ü".encode(), "text/plain", "ü"),
            (b"\xfc", "text/plain; charset=latin-1", "ü"),
            (b"\xfc", 'text/plain; charset="ISO-8859-1"', "ü"),
            (b"\xff", "text/plain", "\ufffd"),
            ("ü".encode(), "text/plain; charset=nonsense", "ü"),
            ("ü".encode(), "", "ü"),
        ],
    )
    def test_text_follows_the_charset(self, body, content_type, expected):
        """What is no text is replaced: a view never fails."""
        assert expected == made(body, Content_Type=content_type).text


class TestJson:
    @pytest.mark.parametrize(
        ("body", "content_type"),
        [
            ('{"a": "ü"}'.encode(), "application/json"),
            ('{"a": "ü"}'.encode(), "text/plain"),
            ('{"a": "ü"}'.encode("latin-1"), "application/json; charset=latin-1"),
            ('{"a": "ü"}'.encode("utf-16"), "application/json"),
            ('\ufeff{"a": "ü"}'.encode(), "application/json"),
            ('{"a": "ü"}'.encode(), "application/json; charset=nonsense"),
        ],
    )
    def test_json_is_parsed_whatever_the_content_type(self, body, content_type):
        """The bytes decide; a charset that is named is believed."""
        assert {"a": "ü"} == made(body, Content_Type=content_type).json()

    @pytest.mark.parametrize("body", [b"", b"no", b"\xff\xfe\xff", b"{", None])
    def test_no_json_is_a_value_error(self, body):
        """One exception for all that is no JSON."""
        with pytest.raises(ValueError):
            made(body).json()

    def test_every_call_gives_a_value_of_its_own(self):
        """A test may take the value apart without changing the log."""
        request = made(b'{"a": []}')
        request.json()["a"].append(1)
        assert {"a": []} == request.json()


class TestContentCoding:
    @pytest.mark.parametrize(
        ("coding", "encoded"),
        [
            ("gzip", gzip.compress(b"abc", mtime=0)),
            ("x-gzip", gzip.compress(b"abc", mtime=0)),
            ("GZIP", gzip.compress(b"a", mtime=0) + gzip.compress(b"bc", mtime=0)),
            ("deflate", zlib.compress(b"abc")),
            ("deflate", raw_deflate(b"abc")),
            ("identity", b"abc"),
            ("deflate, gzip", gzip.compress(zlib.compress(b"abc"), mtime=0)),
            ("", b"abc"),
        ],
    )
    def test_a_content_coding_is_undone_in_every_view(self, coding, encoded):
        """The body stays as it came, the views show what it means."""
        request = made(encoded, Content_Encoding=coding)
        assert ("abc", encoded) == (request.text, request.body)

    @pytest.mark.parametrize(
        ("coding", "body"),
        [
            ("snappy", b"abc"),
            ("gzip", b"abc"),
            ("br", b"\xff"),
            ("zstd", b"abc"),
            ("deflate", b"?"),
        ],
    )
    def test_what_cannot_be_undone_stays(self, coding, body):
        """An unknown or broken coding is shown as it came."""
        assert body.decode("utf-8", "replace") == made(body, Content_Encoding=coding).text

    @pytest.mark.parametrize(
        ("coding", "module"),
        [("br", "brotli"), ("zstd", "compression.zstd"), ("zstd", "backports.zstd")],
    )
    def test_codings_of_other_packages_are_undone(self, coding, module):
        """What is installed is used."""
        compress = pytest.importorskip(module).compress
        assert made(compress(b"abc"), Content_Encoding=coding).text == "abc"

    @pytest.mark.parametrize(
        ("coding", "missing", "installed"),
        [
            ("br", [], "brotli"),
            ("br", ["brotli"], "brotlicffi"),
            ("zstd", [], "compression.zstd"),
            ("zstd", ["compression.zstd"], "backports.zstd"),
        ],
    )
    def test_the_first_package_that_is_installed_is_used(
        self, monkeypatch, coding, missing, installed
    ):
        """Whichever aiohttp itself would use."""
        for module in missing:
            monkeypatch.setitem(sys.modules, module, None)
        monkeypatch.setitem(sys.modules, installed, SimpleNamespace(decompress=bytes.upper))
        assert made(b"abc", Content_Encoding=coding).text == "ABC"

    def test_without_the_package_the_body_stays(self, monkeypatch):
        """A coding whose package is missing is one that we do not know."""
        for module in ("brotli", "brotlicffi", "compression.zstd", "backports.zstd"):
            monkeypatch.setitem(sys.modules, module, None)
        assert ("abc", "abc") == tuple(
            made(b"abc", Content_Encoding=coding).text for coding in ("br", "zstd")
        )

    @pytest.mark.parametrize("coding", ["gzip", "deflate"])
    async def test_what_a_real_client_compressed_is_undone(self, send, coding):
        """Compressed by aiohttp itself."""
        request = await send(json={"a": 1}, compress=coding)
        assert {"a": 1} == request.json()
        assert request.body != b'{"a": 1}'


class TestForm:
    async def test_a_mapping_is_urlencoded(self, send):
        """The plainest form of all."""
        request = await send(data=[("a", "1"), ("b", "ü &="), ("a", ""), ("c", "x+y")])
        expected = [("a", "1"), ("b", "ü &="), ("a", ""), ("c", "x+y")]
        assert expected == list(request.form().items())
        assert request.parts == ()

    async def test_a_charset_is_honoured(self, send):
        """Both kinds of form in a charset of their own."""
        for multipart in ({}, {"content_type": "text/plain; charset=latin-1"}):
            data = aiohttp.FormData(charset="latin-1")
            data.add_field("a", "ü", **multipart)
            assert [("a", "ü")] == list((await send(data=data)).form().items())

    def test_an_unknown_charset_is_no_error(self):
        """A view never fails."""
        content_type = "application/x-www-form-urlencoded; charset=nonsense"
        assert [("a", "ü")] == list(made(b"a=%C3%BC", Content_Type=content_type).form().items())

    async def test_a_file_is_its_name_and_bytes(self, send):
        """Binary content arrives to the byte, text fields as text."""
        data = aiohttp.FormData({"a": "1", "f": file(BINARY, "dir/f.bin")})
        form = (await send(data=data)).form()
        assert [("a", "1"), ("f", ("f.bin", BINARY))] == list(form.items())

    @pytest.mark.parametrize("quote_fields", [True, False])
    @pytest.mark.parametrize("filename", ["ü ä.txt", 'a"b\\c.txt', "50%.txt", "a;b=c.txt", "x"])
    async def test_odd_file_names_come_back(self, send, filename, quote_fields):
        """However aiohttp writes the name of a file, it is read as it was given."""
        data = aiohttp.FormData(quote_fields=quote_fields)
        data.add_field("f", b"1", filename=filename)
        assert [("f", (filename, b"1"))] == list((await send(data=data)).form().items())

    @pytest.mark.parametrize(
        ("name", "quote_fields"),
        # Quoted, aiohttp cannot write the first itself.
        [
            ("ü ä", False),
            *((name, quoted) for name in ("a;b", 'a"b', "a%20b") for quoted in (0, 1)),
        ],
    )
    async def test_odd_field_names_come_back(self, send, name, quote_fields):
        """A percent in the name of a field is a percent."""
        data = aiohttp.FormData(quote_fields=quote_fields)
        data.add_field(name, "1", content_type="text/plain")
        assert [(name, "1")] == list((await send(data=data)).form().items())

    async def test_a_field_that_is_no_text_is_bytes(self, send):
        """As aiohttp.web has it: without a file name, the content type decides."""
        data = aiohttp.FormData()
        data.add_field("j", '{"a": 1}', content_type="application/json")
        data.add_field("t", "x", content_type="text/html")
        assert [("j", b'{"a": 1}'), ("t", "x")] == list((await send(data=data)).form().items())

    async def test_fields_of_one_name_keep_their_order(self, send):
        """A form is a multi-dict."""
        data = aiohttp.FormData()
        for value in "213":
            data.add_field("k", value, content_type="text/plain")
        assert ["2", "1", "3"] == (await send(data=data)).form().getall("k")

    @pytest.mark.parametrize("content_type", ["application/json", "text/plain", "nonsense", ""])
    def test_a_body_that_is_no_form_has_no_fields(self, content_type):
        """As aiohttp.web has it."""
        assert not made(b"a=1", Content_Type=content_type).form()

    async def test_a_chunked_upload_is_put_together(self, send):
        """The way of the bytes doesn't matter."""
        data = aiohttp.FormData({"f": file(BINARY * 2000, "f")})
        request = await send(data=data, chunked=True)
        assert ("f", BINARY * 2000) == request.form()["f"]


class TestParts:
    async def test_parts_of_any_multipart_are_listed(self, send):
        """Not only forms have parts."""
        with aiohttp.MultipartWriter("related") as writer:
            writer.append_json({"a": 1})
            writer.append(BINARY, {"Content-Type": "image/png", "X-Id": "ü"})
        first, second = (await send(data=writer)).parts
        assert (None, None, "application/json", b'{"a": 1}') == (
            first.name,
            first.filename,
            first.content_type,
            first.body,
        )
        assert ("image/png", BINARY, "ü") == (
            second.content_type,
            second.body,
            second.headers["x-id"],
        )

    async def test_a_nested_multipart_stands_as_it_is(self, send):
        """What is inside a part is the part's own business, and to the byte."""
        with aiohttp.MultipartWriter("mixed", boundary="inner") as inner:
            inner.append(BINARY)
            inner.append("text")
        with aiohttp.MultipartWriter("form-data", boundary="outer") as outer:
            part = outer.append(inner)
            part.set_content_disposition("form-data", name="files")
            outer.append("after").set_content_disposition("form-data", name="last")
        request = await send(data=outer)
        files, last = request.parts
        assert ("files", "multipart/mixed") == (files.name, files.content_type)
        assert ("last", b"after") == (last.name, last.body)
        again = made(files.body, Content_Type=files.headers["Content-Type"])
        assert [BINARY, b"text"] == [part.body for part in again.parts]
        assert files.body in request.body

    async def test_an_uploaded_mail_stands_as_it_is(self, send):
        """A message in a part is a file, not a thing to take apart."""
        mail = b"Subject: hi\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\na\r\n"
        data = aiohttp.FormData()
        data.add_field("f", mail, filename="m.eml", content_type="message/rfc822")
        request = await send(data=data)
        assert ("m.eml", mail) == request.form()["f"]
        assert ["message/rfc822"] == [part.content_type for part in request.parts]

    @pytest.mark.parametrize(
        ("encoding", "content"),
        [
            ("base64", BINARY),
            ("binary", BINARY),
            # The writer's own encoder makes all line breaks alike, so there is only one kind.
            ("quoted-printable", b"a=b \xff\r\n\tc" + b"long" * 100),
        ],
    )
    async def test_a_transfer_encoding_is_undone(self, send, encoding, content):
        """As aiohttp writes it, and as mail programs do."""
        with aiohttp.MultipartWriter("mixed") as writer:
            writer.append(content, {"Content-Transfer-Encoding": encoding})
        (part,) = (await send(data=writer)).parts
        assert content == part.body

    @pytest.mark.parametrize("encoding", ["gzip", "deflate"])
    async def test_a_content_coding_of_a_part_is_undone(self, send, encoding):
        """A part may be compressed by itself."""
        with aiohttp.MultipartWriter("mixed") as writer:
            writer.append(BINARY, {"Content-Encoding": encoding})
        (part,) = (await send(data=writer)).parts
        assert BINARY == part.body

    @pytest.mark.parametrize(
        ("body", "expected"),
        [
            (b"--b\r\n\r\na\r\n--b--\r\n", [b"a"]),
            (b"--b\r\n\r\na\r\n--b--", [b"a"]),
            (b"before\r\n--b\r\n\r\na\r\n--b--\r\nafter", [b"a"]),
            (b"--b\r\n\r\n\r\n--b\r\n\r\n\r\n\r\n--b--\r\n", [b"", b"\r\n"]),
            (b"--b\r\n\r\n--bc\r\n--b--\r\n", [b"--bc"]),
            (b"--b\r\nA: 1\r\n\r\n\r\r\n\r\n--b--\r\n", [b"\r\r\n"]),
            (b"--b\r\n\r\ncut off", [b"cut off"]),
            (b"--b--\r\n", []),
            (b"no boundary", []),
            (b"", []),
        ],
    )
    def test_the_boundary_is_found_to_the_byte(self, body, expected):
        """RFC 2046: the line break before a boundary belongs to the boundary."""
        request = made(body, Content_Type="multipart/mixed; boundary=b")
        assert expected == [part.body for part in request.parts]

    @pytest.mark.parametrize("content_type", ["multipart/mixed", "multipart/form-data; boundary="])
    def test_without_a_boundary_there_are_no_parts(self, content_type):
        """A view never fails."""
        request = made(b"--b\r\n\r\na\r\n--b--\r\n", Content_Type=content_type)
        assert request.parts == ()
        assert not request.form()

    def test_a_part_that_says_nothing_is_text(self):
        """RFC 2046 section 5.1: the default is text/plain."""
        request = made(b"--b\r\n\r\na\r\n--b--\r\n", Content_Type="multipart/form-data; boundary=b")
        assert "text/plain" == request.parts[0].content_type
        assert [("", "a")] == list(request.form().items())

    @pytest.mark.parametrize(
        ("disposition", "filename"),
        [
            ("form-data; name=a; filename*=utf-8''%C3%BC%25", "ü%"),
            ('form-data; name="a"; filename="%C3%BC"', "ü"),
            ('form-data; name="a"; filename="ü"', "ü"),
            ('form-data; name="a"; filename=""', ""),
            ("form-data; name=a", None),
        ],
    )
    def test_file_names_are_read_in_every_form(self, disposition, filename):
        """RFC 2231, RFC 7578 and what browsers send."""
        body = f"--b\r\nContent-Disposition: {disposition}\r\n\r\n1\r\n--b--".encode()
        (part,) = made(body, Content_Type="multipart/form-data; boundary=b").parts
        assert ("a", filename) == (part.name, part.filename)

    @given(st.lists(st.binary(max_size=60), min_size=1, max_size=4))
    def test_any_bytes_come_back(self, contents):
        """Whatever is in a part, it is read to the byte."""
        body = b"".join(b"--0b1\r\nA: 1\r\n\r\n" + content + b"\r\n" for content in contents)
        request = made(body + b"--0b1--\r\n", Content_Type="multipart/mixed; boundary=0b1")
        assert contents == [part.body for part in request.parts]

    @given(st.text("\r\n-b: \x80", max_size=30).map(lambda text: text.encode("latin-1")))
    def test_line_breaks_and_hyphens_come_back(self, content):
        """The letters that multipart is made of are only letters inside a part."""
        body = b"--0b1\r\n\r\n" + content + b"\r\n--0b1--\r\n"
        request = made(body, Content_Type='multipart/mixed; boundary="0b1"')
        assert [content] == [part.body for part in request.parts]


def test_json_is_parsed_once_for_matching():
    """A hundred routes that look at the body parse it once."""
    request = made(json.dumps({"a": 1}).encode())
    assert parsed_json(request) is parsed_json(request)
