"""Which spellings of a URL are the same URL, and which are not."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from aiostub._matching.url import Canonical, canonical

# Each row: what a route was registered with, what was requested.
EQUAL = {
    "empty path and slash": ("http://x.test", "http://x.test/"),
    "empty path before a query": ("http://x.test?a=1", "http://x.test/?a=1"),
    "case of the scheme": ("HTTP://x.test/", "http://x.test/"),
    "case of the host": ("http://X.TEST/", "http://x.test/"),
    "IDNA form": ("http://bücher.test/", "http://xn--bcher-kva.test/"),
    "IDNA form in upper case": ("http://BÜCHER.test/", "http://XN--BCHER-KVA.test/"),
    "dot after the host": ("http://x.test./a", "http://x.test/a"),
    "dot after an IDNA host": ("http://bücher.test./", "http://xn--bcher-kva.test/"),
    "default port of http": ("http://x.test:80/a", "http://x.test/a"),
    "default port of https": ("https://x.test/a", "https://x.test:443/a"),
    "default port of wss": ("wss://x.test:443/a", "wss://x.test/a"),
    "ws and http": ("ws://x.test/a", "http://x.test/a"),
    "wss and https": ("wss://x.test/a", "https://x.test/a"),
    "long and short IPv6": ("http://[0:0:0:0:0:0:0:1]/", "http://[::1]/"),
    "letter outside ASCII": ("http://x.test/ü", "http://x.test/%C3%BC"),
    "needless percents": ("http://x.test/%7Ea%2Db", "http://x.test/~a-b"),
    "case of percents": ("http://x.test/%c3%bc", "http://x.test/%C3%BC"),
    "space": ("http://x.test/a b", "http://x.test/a%20b"),
    "dot segments": ("http://x.test/a", "http://x.test/b/../a"),
    "single dot segments": ("http://x.test/a/b", "http://x.test/./a/./b"),
    "order of keys": ("http://x.test/?a=1&b=2", "http://x.test/?b=2&a=1"),
    "order of keys, one repeated": ("http://x.test/?k=1&a=0&k=2", "http://x.test/?a=0&k=1&k=2"),
    "same repeated key": ("http://x.test/?k=1&k=2", "http://x.test/?k=1&k=2"),
    "empty value and none": ("http://x.test/?q=", "http://x.test/?q"),
    "plus and percent for a space": ("http://x.test/?q=a+b", "http://x.test/?q=a%20b"),
    "percents in a query": ("http://x.test/?q=%7E%c3%bc", "http://x.test/?q=~ü"),
    "percents in a key": ("http://x.test/?%71=1", "http://x.test/?q=1"),
    "empty query": ("http://x.test/a?", "http://x.test/a"),
    "fragment": ("http://x.test/a#f", "http://x.test/a"),
    "userinfo": ("http://x.test/a", "http://u:p@x.test/a"),
    "userinfo with odd letters": ("http://x.test/%7E", "http://u%40v:p%3A@x.test/~"),
}
DIFFERENT = {
    "trailing slash": ("http://x.test/a", "http://x.test/a/"),
    "trailing slash missing": ("http://x.test/a/", "http://x.test/a"),
    "case of the path": ("http://x.test/A", "http://x.test/a"),
    "case of a value": ("http://x.test/?q=A", "http://x.test/?q=a"),
    "case of a key": ("http://x.test/?Q=a", "http://x.test/?q=a"),
    "encoded slash": ("http://x.test/a%2Fb", "http://x.test/a/b"),
    "encoded plus": ("http://x.test/?q=a%2Bb", "http://x.test/?q=a+b"),
    "encoded plus in the path": ("http://x.test/a%2Bb", "http://x.test/a b"),
    "encoded percent": ("http://x.test/a%2541", "http://x.test/aA"),
    "two slashes": ("http://x.test/a", "http://x.test//a"),
    "two slashes within": ("http://x.test/a/b", "http://x.test/a//b"),
    "order of repeated values": ("http://x.test/?k=1&k=2", "http://x.test/?k=2&k=1"),
    "query requested only": ("http://x.test/a", "http://x.test/a?z=1"),
    "query registered only": ("http://x.test/?q=", "http://x.test/"),
    "one pair more": ("http://x.test/?a=1", "http://x.test/?a=1&z=1"),
    "other port": ("http://x.test/", "http://x.test:81/"),
    "default port of the other scheme": ("http://x.test:443/", "https://x.test/"),
    "scheme": ("http://x.test/", "https://x.test/"),
    "scheme of a WebSocket": ("ws://x.test/", "https://x.test/"),
    "host": ("http://x.test/", "http://y.x.test/"),
}

PATH_LETTERS = string.ascii_letters + string.digits + "-._~!$&'()*+,;=:@%/ {}|^\"<>\\äß€"
paths = st.text(PATH_LETTERS, max_size=20).map(lambda text: f"/{text.lstrip('/')}")
words = st.text("ab/?&=+% ü~%;", max_size=4)
queries = st.lists(st.tuples(words, words), max_size=5)


def percented(text: str) -> str:
    """Write every letter and digit as percents, which never changes what is meant."""
    return "".join(
        f"%{ord(char):02x}" if char.isascii() and char.isalnum() else char for char in text
    )


@pytest.mark.parametrize(("registered", "requested"), EQUAL.values(), ids=EQUAL)
def test_two_spellings_are_one_url(registered, requested):
    """What means the same to a server is compared as the same."""
    assert canonical(URL(registered)) == canonical(URL(requested))


@pytest.mark.parametrize(("registered", "requested"), DIFFERENT.values(), ids=DIFFERENT)
def test_two_urls_stay_two(registered, requested):
    """What a server may answer differently is never taken for the same."""
    assert canonical(URL(registered)) != canonical(URL(requested))


def test_the_parts_are_named():
    """A canonical URL is a plain tuple, good for looking up."""
    expected = Canonical("http", "x.test", 80, "/a", (("a", "0"), ("k", "2"), ("k", "1")))
    assert expected == canonical(URL("ws://u@X.test./a?k=2&k=1&a=0#f"))


@pytest.mark.parametrize(
    ("already", "plain"),
    [
        ("http://x.test/%7e/%c3%bc", "http://x.test/~/ü"),
        ("http://x.test/ü", "http://x.test/%C3%BC"),
        ("http://x.test/b/../a", "http://x.test/a"),
        ("http://X.TEST/a", "http://x.test/a"),
        ("http://x.test?q=%7e", "http://x.test/?q=~"),
    ],
)
def test_what_the_app_encoded_itself_is_requoted(already, plain):
    """URL(..., encoded=True) changes the bytes on the wire, not what is meant."""
    assert canonical(URL(plain)) == canonical(URL(already, encoded=True))


def test_what_no_parser_takes_is_compared_as_it_stands():
    """A URL that only encoded=True lets through is nobody's error here."""
    assert ("ü..x", 80, "/%7e") == canonical(URL("http://ü..x/%7e", encoded=True))[1:4]


@given(paths, queries)
def test_canonicalising_again_changes_nothing(path, query):
    """The canonical form of the canonical form is itself."""
    once = canonical(URL("http://x.test").with_path(path).with_query(query))
    rebuilt = URL.build(
        scheme=once.scheme, host=once.host, port=once.port, path=once.path, encoded=True
    ).with_query(once.query)
    assert once == canonical(rebuilt)


@given(st.text(PATH_LETTERS, max_size=20))
def test_percents_where_none_are_needed_change_nothing(text):
    """Any letter or digit may be written as percents."""
    plain = URL.build(scheme="http", host="x.test", path=f"/x{text}")
    written = URL(f"http://x.test{percented(plain.raw_path)}", encoded=True)
    if "%" not in plain.raw_path:
        assert canonical(plain) == canonical(written)


@given(paths)
def test_the_short_way_gives_what_yarl_gives(path):
    """A path that is taken as it stands is one that yarl would leave as it stands."""
    once = canonical(URL(f"http://x.test{path}", encoded=True))
    assert canonical(URL(str(URL(f"http://x.test{path}")))) == once


@given(queries, st.randoms(use_true_random=False))
def test_order_of_keys_is_free(query, random):
    """Pairs may be shuffled as long as the values of one key keep their order."""
    keys = [key for key, _ in query]
    random.shuffle(keys)
    values = {key: iter([value for other, value in query if other == key]) for key in keys}
    reordered = [(key, next(values[key])) for key in keys]
    url = URL("http://x.test/")
    assert canonical(url.with_query(query)) == canonical(url.with_query(reordered))
