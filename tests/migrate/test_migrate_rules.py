"""Single rules: what stands in a test, and what stands there afterwards."""

from __future__ import annotations

import pytest

pytest.importorskip("libcst")

from test_migrate_left_alone import HEAD, ROUTE, test, translated

ANSWER = "    return CallbackResult(status=201)"

RULES = {
    # bodies, text or bytes
    "a sum of texts": ('m.get(U, body="a" + name)', 'reply(text="a" + name, '),
    "a text decoded": ("m.get(U, body=raw.decode())", "reply(text=raw.decode(), "),
    "a text encoded": ('m.get(U, body="a".encode())', 'reply(body="a".encode(), '),
    "a text joined": ('m.get(U, body="".join(parts))', 'reply(text="".join(parts), '),
    "bytes joined": ('m.get(U, body=b"".join(parts))', 'reply(body=b"".join(parts), '),
    "bytes by name": ("m.get(U, body=bytes(3))", "reply(body=bytes(3), "),
    "a choice of texts": ('m.get(U, body="a" if U else "b")', 'reply(text="a" if U else "b", '),
    "texts side by side": ('m.get(U, body="a" f"{U}")', 'reply(text="a" f"{U}", '),
    "an f-string first": ('m.get(U, body=f"{U}" "a")', 'reply(text=f"{U}" "a", '),
    "a payload beats a body": ('m.get(U, payload=[], body="x")', "reply(json=[])"),
    "an empty body is none": ('m.get(U, body="", reason="Fine")', 'reply(reason="Fine", '),
    # what stands for itself
    "defaults": (
        "m.get(U, payload=1, repeat=False, timeout=False, exception=None, headers=None)",
        "m.get(U).reply(json=1)",
    ),
    "negative repeat": ("m.get(U, payload=1, repeat=0)", "reply(json=1).always()"),
    "a repeat by name": ("often = True", "m.get(U, payload=1, repeat=often)", ".always()"),
    "no repeat by name": ("often = False", "m.get(U, payload=1, repeat=often)", "(json=1)\n"),
    "the same method": ('m.add(U, "OPTIONS", payload=1)', "m.options(U).reply(json=1)"),
    "status behind others": ("m.get(U, payload=1, status=201)", "reply(201, json=1)"),
    "JSON said again": (
        'm.get(U, payload=1, content_type="application/json")',
        "reply(json=1)",
    ),
    "charset said": (
        'm.get(U, body="x", content_type="text/html; charset=utf-8")',
        'reply(text="x", content_type="text/html; charset=utf-8")',
    ),
    "a type by name": (
        'm.get(U, body="x", content_type=kind)',
        'reply(text="x", headers={"Content-Type": kind})',
    ),
    "headers by constants": (
        'm.get(U, payload=1, headers={hdrs.ETAG: "1"})',
        'headers={hdrs.ETAG: "1"}',
    ),
    # URLs
    "a URL object keeps its braces": (
        'm.get(URL("http://x.test/{a}"), payload=1)',
        'm.get(URL("http://x.test/{a}")).reply',
    ),
    "a sum keeps the braces of others": (
        'm.get("http://x.test/{a}" + at("{b}")[0]["{c}"], payload=1)',
        'm.get("http://x.test/{{a}}" + at("{b}")[0]["{c}"]).reply',
    ),
    "an f-string's own braces": (
        "m.get(f\"http://x.test/{d['a']}{{\", payload=1)",
        "m.get(f\"http://x.test/{d['a']}{{{{\").reply",
    ),
    "a pattern in pieces": (
        'm.get(re.compile("http:" "//x|" f"{U}"), payload=1)',
        'm.get(re.compile("^(?:http:" "//x|" f"{U})")).reply',
    ),
    "a pattern with flags": (
        'm.get(re.compile("http:", re.I | re.A), payload=1)',
        'm.get(re.compile("^http:", re.I | re.A)).reply',
    ),
    # callbacks
    "a callback with branches": (
        "def answer(url, **kwargs):",
        "    if url.path:",
        "        with lock:",
        "            return CallbackResult(status=201)",
        "    elif url.query: return CallbackResult(status=202)",
        "    else:",
        "        return CallbackResult(status=203)",
        "m.get(U, callback=answer)",
        "if request.url.path:",
    ),
    "a callback with any arguments": (
        "def answer(*args, **kwargs):",
        ANSWER,
        "m.get(U, callback=answer)",
        "def answer(request):\n            return Reply(201, content_type=",
    ),
    "a callback that reads a header": (
        "m.get(U, callback=lambda u, **k: CallbackResult(body=f\"{k['headers']['A']}\"))",
        "handle(lambda request: Reply(text=f\"{request.headers['A']}\", content_type=",
    ),
    # the log
    "requests that are there": (ROUTE, "assert m.requests != {}", "assert bool(m.calls)"),
    "a number of no requests": (ROUTE, "n = len(m.requests)", "n = len({("),
    "membership as a value": (
        ROUTE,
        'found = ("GET", URL(U)) in m.requests',
        'found = bool(m.calls.filter("GET", URL(U)))',
    ),
    "a method by constant": (
        ROUTE,
        "assert m.requests[hdrs.METH_GET, URL(U)]",
        "assert m.calls.filter(hdrs.METH_GET, URL(U))",
    ),
    "an assertion with a method by constant": (
        ROUTE,
        "m.assert_any_call(U, hdrs.METH_GET)",
        'm.assert_any_call("GET", U)',
    ),
    "an assertion that matches all": (
        ROUTE,
        "m.assert_called_with(U, args_to_match=None)",
        '**m.calls.filter("GET", U)[-1].origin.kwargs} == {"allow_redirects": True}',
    ),
    "a header got": (
        ROUTE,
        'assert m.requests[("GET", URL(U))][0].kwargs["headers"].get("A")',
        '[0].request.headers.get("A")',
    ),
    "a choice": (ROUTE, "x = 1 if m.requests and U else 2", "x = 1 if m.calls and U else 2"),
    "a loop over all": (
        ROUTE,
        "for calls in list(m.requests.values()):",
        "    assert len(calls) == 1",
        "for calls in list({(",
    ),
    "entering without a name": (
        "stack.enter_context(aioresponses())",
        ROUTE,
        "stack.enter_context(Stub(strict=False))",
    ),
    "passthrough by name": (
        'HOSTS = ["http://a.test", "http://b"]',
        "with aioresponses(passthrough=HOSTS) as n:",
        "    n.get(U, payload=1)",
        'Stub(strict=False, passthrough=["http://a.test", "http://b"])',
    ),
}


@pytest.mark.parametrize("lines", RULES.values(), ids=RULES)
def test_a_rule(lines):
    """The last line is in what becomes of the others, nothing is left, and it is Python."""
    *before, expected = lines
    if not any(line.startswith(("m.get", "m.add", "with")) for line in before):
        before.insert(0, ROUTE)
    text, notes = translated(HEAD + test(*before))
    assert [] == notes
    assert expected in text
    compile(text, "x", "exec")


CLASS = """\
class TestIt:
    BODY = "hello"

    def test_a(self):
        with aioresponses() as m:
            m.get(U, body=self.BODY)
            m.get(U, body=self.load())

    def load(self) -> bytes:
        return b""
"""


def test_attributes_and_methods_are_looked_up():
    """What a class says of itself is known."""
    text, notes = translated(HEAD + CLASS)
    assert [] == notes
    assert "reply(text=self.BODY, " in text
    assert "reply(body=self.load(), " in text


def test_parameters_are_looked_up():
    """An annotated parameter, and the values of a parametrised one, are known."""
    source = (
        f"{HEAD}def add(m, body: str):\n    m.get(U, body=body)\n\n\n"
        '@pytest.mark.parametrize(("body", "status"), [pytest.param(b"a", 200), (b"b", 201)])\n'
        "def test_a(body, status):\n    with aioresponses() as m:\n"
        '        add(m, "x")\n        m.get(U, body=body, status=status)\n'
    )
    text, notes = translated(source)
    assert [] == notes
    assert "m.get(U).reply(text=body, " in text
    assert "m.get(U).reply(status, body=body, " in text


def test_what_functions_return_is_looked_up():
    """Without an annotation, every return counts."""
    source = (
        f'{HEAD}def load(name):\n    if name:\n        return "a"\n    return f"{{name}}"\n\n\n'
        f"{test('m.get(U, body=load(1))')}"
    )
    text, notes = translated(source)
    assert [] == notes
    assert "reply(text=load(1), " in text


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        ('"""Doc."""\n', '"""Doc."""\nimport asyncio\nfrom aiostub import Stub\n'),
        (
            "from __future__ import annotations\n",
            "from __future__ import annotations\nimport asyncio\nfrom aiostub import Stub\n",
        ),
        ("import asyncio\n", "import asyncio\nfrom aiostub import Stub\n"),
        ("# head\nimport os\n", "# head\nimport asyncio\nimport os\nfrom aiostub import Stub\n"),
    ],
)
def test_modules_are_imported_once_and_at_the_top(head, expected):
    """`import asyncio` comes before the first import, unless it is there."""
    source = f"{head}from aioresponses import aioresponses\n\n\n"
    text, _ = translated(source + test('m.get("http://x.test/", timeout=True)'))
    assert text.startswith(expected)
    compile(text, "x", "exec")


@pytest.mark.parametrize("future", ["", "from __future__ import annotations\n"])
def test_a_file_without_imports_gets_them_behind_its_docstring(future):
    """A helper's file that had none is Python afterwards, and still has its docstring."""
    source = (
        f'"""Doc."""\n{future}\n\ndef test_it():\n    from aioresponses import aioresponses\n\n'
        '    with aioresponses() as m:\n        m.get("http://x.test/", timeout=True)\n'
    )
    text, notes = translated(source)
    assert [] == notes
    assert text.startswith(f'"""Doc."""\n{future}import asyncio\nfrom aiostub import Stub\n')
    compile(text, "x", "exec")


@pytest.mark.parametrize(
    "lines",
    [
        ("m.get(U, status=503)", "with pytest.raises(ConnectionError):", "    await fetch()"),
        (
            "m.get(U, callback=answer)",
            "with pytest.raises(ApiConnectionError):",
            "    await fetch()",
        ),
        (ROUTE, 'assert response.headers["A"] == "b"'),
        (ROUTE, 'assert "A" in response.headers'),
        (ROUTE, "assert response.headers is not None and response.headers.keys() == SOME"),
        (ROUTE, "self.assertEqual(response.status, 200)"),
    ],
)
def test_what_looks_like_something_to_leave(lines):
    """An error that a status explains, and single headers, are the same natively."""
    answer = "async def answer(url, **kwargs):\n    return CallbackResult(status=500)\n\n\n"
    text, notes = translated(f"{HEAD}{answer}{test(*lines)}")
    assert [note for note in notes if "another way" not in note] == []
    assert "Stub(strict=False)" in text
