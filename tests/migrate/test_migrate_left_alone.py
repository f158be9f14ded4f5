"""What is left as it was: for each reason, the smallest test that has it."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

pytest.importorskip("libcst")

from aiostub.migrate._files import parsed
from aiostub.migrate._module import Module
from aiostub.migrate._translate import translate

HEAD = """\
import re

import aiohttp
import pytest
from aioresponses import CallbackResult, aioresponses
from yarl import URL

U = "http://x.test/"


"""
ROUTE = "m.get(U, payload={})\n"


def translated(source: str, *, strict: bool = False) -> tuple[str, list[str]]:
    """Translate one file, and return it with the reasons for what is left."""
    module = Module(Path("/t/test_x.py"), parsed(source.encode()), chosen=True)
    results, notes = translate([module], strict=strict)
    return results[0].text, [note.reason for note in notes]


def test(*lines: str) -> str:
    """Write a test with a mock ``m`` that does these lines."""
    body = textwrap.indent("".join(f"{line.rstrip()}\n" for line in lines), "        ")
    return f"async def test_it():\n    with aioresponses() as m:\n{body}"


test.__test__ = False  # type: ignore[attr-defined]

LEFT = {
    "unpacked arguments": (test("m.get(U, **ARGS)"), "unpacked"),
    "unknown argument": (test("m.get(U, what=1)"), "the argument what is not known"),
    "no URL": (test("m.get(payload={})"), "no URL is given"),
    "relative URL": (test('m.get("/users")'), "the URL is relative"),
    "relative URL in an f-string": (test('m.get(f"/users/{1}")'), "the URL is relative"),
    "fragment": (test('m.get("http://x.test/#a")'), "fragment and user"),
    "user": (test('m.get("http://ada@x.test/")'), "fragment and user"),
    "repeated name in the query": (test('m.get("http://x.test/?a=1&a=2")'), "repeated names"),
    "braces behind a name": (
        test('url = "http://x.test/{a}"', "m.get(url)"),
        "braces, which begin a placeholder",
    ),
    "pattern behind a name, not anchored": (
        test('items = re.compile("http://x")', "m.get(items)"),
        "begin it with '^'",
    ),
    "pattern that is not seen": (test("m.get(conf.ITEMS_RE)"), "this one is not seen"),
    "pattern that reads the query": (
        test(r'm.get(re.compile(r"^http://x\.test/\?a=1&b=2$"))'),
        "reads the query",
    ),
    "pattern with flags in it": (test('m.get(re.compile("(?i)http"))'), "begins with flags"),
    "verbose pattern": (test('m.get(re.compile("http", re.X))'), "verbose"),
    "status that is none": (test("m.get(U, status=999)"), "200 to 599"),
    "body with 204": (test("m.delete(U, status=204, payload={})"), "a 204 has no body"),
    "body with HEAD": (test('m.head(U, body="x")'), "HEAD has no body"),
    "body that is not seen": (test("m.get(U, body=read())"), "text or bytes"),
    "response class": (test("m.get(U, response_class=Mine)"), "response_class="),
    "content coding": (
        test('m.get(U, body=b"x", headers={"Content-Encoding": "gzip"})'),
        "the client heeds content-encoding",
    ),
    "length": (
        test('m.get(U, headers={"Content-Length": "9"})'),
        "the client heeds content-length",
    ),
    "headers that are not seen": (test("m.get(U, headers=make())"), "what headers are set"),
    "text type beside headers": (
        test('m.get(U, body="x", content_type="text/html", headers={"A": "b"})'),
        "say the type in headers=",
    ),
    "payload that may be None": (
        test("m.get(U, payload={} if U else None)"),
        "may be None",
    ),
    "payload changed later": (
        test("data = {}", "m.get(U, payload=data)", 'data["a"] = 1'),
        "changed afterwards",
    ),
    "repeat that is not seen": (test("m.get(U, repeat=often)"), "how often"),
    "timeout that is not seen": (test("m.get(U, timeout=slow)"), "whether timeout= is true"),
    "exception that is not seen": (test("m.get(U, exception=error)"), "which exception"),
    "OSError": (test("m.get(U, exception=OSError())"), "a ClientOSError of OSError"),
    "reset": (test("m.get(U, exception=ConnectionResetError)"), "ClientOSError of Connection"),
    "connector error as a class": (
        test("m.get(U, exception=aiohttp.ClientConnectorError)"),
        "is a TypeError there",
    ),
    "identity of an exception": (
        test("error = ValueError()", "m.get(U, exception=error)", "assert caught.value is error"),
        "natively it is copied",
    ),
    "redirect of a PUT": (
        test('m.put(U, status=302, headers={"Location": "/"})'),
        "becomes a GET there",
    ),
    "redirect and log": (
        test('m.get(U, status=302, headers={"Location": "/a"})', "m.assert_called_once()"),
        "a call of its own in the native log",
    ),
    "callback and exception": (
        test("m.get(U, callback=lambda u, **k: None, exception=ValueError())"),
        "runs both",
    ),
    "callback of elsewhere": (test("m.get(U, callback=conf.answer)"), "not seen in this file"),
    "callback that may return None": (
        test("def answer(url, **kwargs):", "    seen.append(1)", "m.get(U, callback=answer)"),
        "may return None",
    ),
    "callback that raises": (
        test("def answer(url, **kwargs):", "    raise ValueError", "m.get(U, callback=answer)"),
        "asked again there",
    ),
    "callback with its URL as text": (
        test("m.get(U, callback=lambda url, **k: CallbackResult(body=str(url)))"),
        "query sorted",
    ),
    "callback with parameters": (
        test("m.get(U, callback=lambda url, json, **k: CallbackResult(payload=json))"),
        "other parameters",
    ),
    "callback that reads params": (
        test('m.get(U, callback=lambda url, **k: CallbackResult(payload=k["params"]))'),
        "only json and single headers",
    ),
    "callback used elsewhere": (
        test(
            "def answer(url, **kwargs):",
            "    return CallbackResult(status=201)",
            "m.get(U, callback=answer)",
            "answer(1)",
        ),
        "used for something else",
    ),
    "assertion about headers": (
        test(ROUTE, 'm.assert_called_with(U, headers={"A": "b"})'),
        "the session's merged in",
    ),
    "assertion that ignores": (
        test(ROUTE, "m.assert_any_call(U, json={})"),
        "assert_any_call ignores json=",
    ),
    "assertion that shall fail": (
        test(ROUTE, "with pytest.raises(AssertionError):", "    m.assert_called_with(U)"),
        "expected to fail",
    ),
    "assertion about a pattern": (
        test(ROUTE, 'm.assert_called_with(re.compile("x"))'),
        "a TypeError in an assertion",
    ),
    "request headers as a whole": (
        test(ROUTE, 'assert m.requests[("GET", URL(U))][0].kwargs["headers"] == {}'),
        "merged with the session's",
    ),
    "automatic header": (
        test(ROUTE, 'assert m.requests[("GET", URL(U))][0].kwargs["headers"]["Accept"] == "x"'),
        "merged with the session's",
    ),
    "kwargs as a whole": (
        test(ROUTE, 'assert m.requests[("GET", URL(U))][0].kwargs == {}'),
        "only single ones",
    ),
    "lower-case key": (
        test(ROUTE, 'assert m.requests[("get", URL(U))]'),
        "lower-case method",
    ),
    "key that is not seen": (test(ROUTE, "assert m.requests[key]"), "which method and URL"),
    "requests as a dict": (
        test(ROUTE, "for key, calls in m.requests.items():", "    pass"),
        "of requests only",
    ),
    "mock in a tuple": (
        "@pytest.fixture\ndef both():\n    with aioresponses() as m:\n        yield m, 1\n",
        "cannot be followed",
    ),
    "mock that goes elsewhere": (test(ROUTE, "conf.remember(m)"), "cannot be followed"),
    "mock in an attribute of another": (test(ROUTE, "client.mock = m"), "cannot be followed"),
    "method that is not called": (test("add = m.get", "add(U)"), "get of a mock"),
    "method of a subclass": (test("m.build()"), "build() of a mock"),
    "name that is something else": (
        "def test_it():\n    m = None\n    m = aioresponses()\n    m.start()\n    m.stop()\n",
        "cannot be followed",
    ),
    "fixture that is not seen": (
        "async def test_it(api: aioresponses):\n    api.get(U)\n",
        "where the mock 'api' comes from",
    ),
    "fixture asked for by name": (
        (
            "@pytest.fixture\ndef api():\n    with aioresponses() as m:\n        yield m\n\n\n"
            'def test_it(request):\n    request.getfixturevalue("api").get(U)\n'
        ),
        "getfixturevalue",
    ),
    "subclass": ("class Mine(aioresponses):\n    pass\n", "in another way"),
    "decorated class": (
        "@aioresponses()\nclass TestIt:\n    def test_a(self, m):\n        pass\n",
        "on a class",
    ),
    "decorated generator": (
        "@aioresponses()\ndef things(m):\n    m.get(U)\n    yield 1\n",
        "on a generator",
    ),
    "decorator beneath": (
        '@aioresponses()\n@patch("a.b")\ndef test_it(m, p):\n    m.get(U)\n',
        "beneath @aioresponses()",
    ),
    "two parameters in pytest": (
        "@aioresponses()\ndef test_it(tmp, m):\n    m.get(U)\n",
        "which parameter",
    ),
    "arguments of aioresponses": (
        "def test_it():\n    with aioresponses(passthrough=HOSTS) as m:\n        m.get(U)\n",
        "what passthrough= is",
    ),
    "one text as passthrough": (
        'def test_it():\n    with aioresponses(passthrough="http://a") as m:\n        m.get(U)\n',
        "a list of prefixes",
    ),
    "passthrough and a pattern": (
        (
            'def test_it():\n    with aioresponses(passthrough=["http://a"]) as m:\n'
            '        m.get(re.compile("^.*"))\n'
        ),
        "a pattern answers before",
    ),
    "passthrough and the log": (
        (
            'def test_it():\n    with aioresponses(passthrough=["http://a"]) as m:\n'
            "        m.get(U)\n        m.assert_called_once()\n"
        ),
        "is in the native log",
    ),
    "clear and the log": (
        test(ROUTE, "m.clear()", "m.assert_called_once()"),
        "clear() keeps the calls",
    ),
    "refusal that is expected": (
        test(ROUTE, "with pytest.raises(aiohttp.ClientConnectionError):", "    await fetch()"),
        "no ClientConnectionError natively",
    ),
    "message of a refusal, without a route": (
        test(
            "with pytest.raises(aiohttp.ClientError) as caught:",
            "    await fetch()",
            'assert str(caught.value) == f"Connection refused: GET {U}"',
        ),
        "has another message",
    ),
    "refusal that the app makes its own error of": (
        test(ROUTE, "with pytest.raises(api.ApiConnectionError):", "    await fetch()"),
        "no ClientConnectionError natively",
    ),
    "refusal beside a callback": (
        "async def answer(url, **kwargs):\n    return CallbackResult(status=200)\n\n\n"
        + test(
            "m.get(U, status=408, callback=answer)",
            "with pytest.raises(ConnectionError):",
            "    await fetch()",
        ),
        "no ClientConnectionError natively",
    ),
    "all headers of a response": (
        test(ROUTE, "response = await fetch()", 'assert response.headers == {"A": "b"}'),
        "more headers than were registered",
    ),
    "all headers of a response as a dict": (
        test(ROUTE, "response = await fetch()", 'assert {"A": "b"} != dict(response.headers)'),
        "more headers than were registered",
    ),
    "all headers of a response in a unittest": (
        test(ROUTE, "response = await fetch()", "self.assertEqual(response.headers, HEADERS)"),
        "more headers than were registered",
    ),
    "helper called with something else": (
        "def add(m):\n    m.get(U)\n\n\n" + test("add(m)") + "\n\nadd(responses)\n",
        "called with something else",
    ),
    "text in another charset": (
        test("m.get(U, body='\u00e9', content_type='text/html; charset=latin-1')"),
        "not in latin-1",
    ),
    "text in another charset among the headers": (
        test("m.get(U, body='x', headers={'Content-Type': 'text/html; charset=cp1252'})"),
        "not in cp1252",
    ),
    "redirect that does not show": (
        test("m.put(U, status=status, headers={'Location': '/'})"),
        "becomes a GET there",
    ),
    "mock of a module": (
        "m = aioresponses()\n\n\ndef test_it():\n    with m:\n        m.get(U, payload={})\n",
        "started again",
    ),
    "mock of a class": (
        (
            "class TestIt:\n    m = aioresponses()\n\n    def test_a(self):\n"
            "        with self.m:\n            self.m.get(U, payload={})\n"
        ),
        "started again",
    ),
    "fixture of a plugin": (
        "def test_it(aioresponses):\n    aioresponses.get(U)\n",
        "where the mock comes from",
    ),
    "generator that is no fixture": (
        "@special\ndef api():\n    with aioresponses() as m:\n        yield m\n",
        "cannot be followed",
    ),
    "bystander of a setUp": (
        (
            "class TestIt(TestCase):\n    def setUp(self):\n        self.m = aioresponses()\n"
            "        self.m.start()\n\n    def test_a(self):\n"
            "        with self.assertRaises(aiohttp.ClientError):\n            run()\n"
        ),
        "test_a (line 17) expects an error",
    ),
    "bystander of a fixture": (
        (
            "@pytest.fixture(autouse=True)\ndef api():\n    with aioresponses() as m:\n"
            "        yield m\n\n\ndef test_a():\n"
            "    with pytest.raises(aiohttp.ClientConnectionError):\n        run()\n"
        ),
        "test_a (line 18) expects an error",
    ),
    "name that is taken": ("class Stub:\n    pass\n\n\n" + test(ROUTE), "the name Stub is taken"),
}


@pytest.mark.parametrize(("body", "reason"), LEFT.values(), ids=LEFT)
def test_what_cannot_be_translated_is_left_as_it_was(body, reason):
    """Nothing of it is rewritten, its import least of all, and the report says why."""
    text, notes = translated(HEAD + body)
    assert any(reason in note for note in notes), notes
    assert HEAD + body == text


def test_a_test_that_is_left_keeps_no_other_back():
    """Tests with mocks of their own are decided one by one; both names are imported then."""
    source = HEAD + test("m.get(U, payload={})").replace("test_it", "test_a")
    text, notes = translated(source + "\n\n" + test("m.get(U, **ARGS)"))
    assert (
        "from aioresponses import CallbackResult, aioresponses\nfrom aiostub import Stub\n" in text
    )
    assert "m.get(U).reply(json={})" in text
    assert "m.get(U, **ARGS)" in text
    assert len(notes) == 1


def test_all_users_of_a_fixture_wait_for_one_another():
    """A fixture gives a mock or a stub, so its users are rewritten together or not at all."""
    source = (
        f"{HEAD}@pytest.fixture\ndef api():\n    with aioresponses() as m:\n        yield m\n\n\n"
        "def test_a(api):\n    api.get(U)\n\n\ndef test_b(api):\n    api.get(U, **ARGS)\n"
    )
    text, notes = translated(source)
    assert source == text
    assert [
        "api shares its mock with what is left at test_x.py:22",
        "test_a shares its mock with what is left at test_x.py:22",
        "arguments are unpacked, so it does not show what they are",
    ] == notes


def test_a_fixture_of_another_kind_is_none_of_ours():
    """A class's own fixture hides that of the file, and parametrised names hide both."""
    source = (
        f"{HEAD}@pytest.fixture\ndef api():\n    with aioresponses() as m:\n        yield m\n\n\n"
        "class TestIt:\n    @pytest.fixture\n    def api(self):\n        return Other()\n\n"
        "    def test_a(self, api):\n        api.get(U, **ARGS)\n\n\n"
        '@pytest.mark.parametrize("api", [1])\ndef test_b(api):\n    api.frob()\n\n\n'
        "def test_c(api):\n    api.get(U, payload=1)\n"
    )
    text, notes = translated(source)
    assert [] == notes
    assert "api.get(U).reply(json=1)" in text
    assert "api.get(U, **ARGS)" in text


def test_strict_stubs_are_asked_for():
    """With --strict the stubs check; what stands for the missing network stays optional."""
    body = "def test_a():\n    with aioresponses() as m:\n        run()\n\n\n"
    text, notes = translated(HEAD + body + test(ROUTE), strict=True)
    assert [] == notes
    assert "with Stub() as m:\n        m.any(ANY).fail(" in text
    assert ".always().optional()" in text


@pytest.mark.parametrize("source", ["", "x = 1\n", "import aioresponses\n", "# aioresponses\n"])
def test_what_uses_no_mock_stays(source):
    """A file without a mock is neither rewritten nor reported."""
    assert (source, []) == translated(source)


def test_a_name_that_other_files_import_from_here_is_kept():
    """What is re-exported stays imported."""
    common = "from aioresponses import aioresponses\n\n\n" + test(ROUTE)
    user = "from .common import aioresponses\n"
    modules = [
        Module(Path(f"/t/{name}.py"), parsed(source.encode()), chosen=True)
        for name, source in (("common", common), ("user", user))
    ]
    results, notes = translate(modules)
    assert [] == notes
    assert "from aioresponses import aioresponses\nfrom aiostub import Stub\n" in results[0].text
    assert "m.get(U).reply(json={})" in results[0].text


def test_an_import_for_the_type_checker_alone():
    """The import goes from its block, and the new one stands at the top."""
    source = (
        "from typing import TYPE_CHECKING\n\nif TYPE_CHECKING:\n"
        "    from aioresponses import aioresponses\n\n\n"
        "def add(m: aioresponses):\n    m.get('http://x.test/', payload={})\n\n\n"
        "def test_it():\n    from aioresponses import aioresponses\n\n"
        "    with aioresponses() as m:\n        add(m)\n"
    )
    text, notes = translated(source)
    assert [] == notes
    assert "aioresponses" not in text
    assert "from aiostub import Stub\n\nif TYPE_CHECKING:\n    pass\n" in text
    compile(text, "x", "exec")


def test_other_names_of_the_package_stay_imported():
    """Only what is gone from the file is gone from its imports."""
    source = (
        "from aioresponses import aioresponses\n"
        "from aioresponses.compat import URL, normalize_url\n"
        f"\nU = normalize_url(URL('http://x.test/'))\n\n\n{test(ROUTE)}"
    )
    text, notes = translated(source)
    assert [] == notes
    expected = "from aiostub import Stub\nfrom aioresponses.compat import URL, normalize_url\n"
    assert text.startswith(expected)
