"""The contract of asyncio.Transport, as two ends in memory keep it."""

from __future__ import annotations

import asyncio
import errno
import gc
import socket
import weakref

import pytest

from aiostub._wire.memory import MemoryTransport, connect_in_memory


class Recorder(asyncio.Protocol):
    """Note what a transport tells its protocol."""

    def __init__(self, *, stays_half_open=False):
        self.events = []
        self.transport = None
        self._stays_half_open = stays_half_open

    def connection_made(self, transport):
        self.transport = transport
        self.events.append("made")

    def data_received(self, data):
        self.events.append(data)

    def eof_received(self):
        self.events.append("eof")
        return self._stays_half_open

    def pause_writing(self):
        self.events.append("pause")

    def resume_writing(self):
        self.events.append("resume")

    def connection_lost(self, exc):
        self.events.append(("lost", type(exc)))

    @property
    def data(self):
        """The bytes that came, in the pieces in which they did."""
        return [event for event in self.events if isinstance(event, bytes)]

    @property
    def told(self):
        """All that is no data, but for the beginning."""
        return [e for e in self.events if not isinstance(e, bytes) and e != "made"]


LOST = ("lost", type(None))
RESET = ("lost", ConnectionResetError)


async def turns(n=5):
    """Let the event loop go round."""
    for _ in range(n):
        await asyncio.sleep(0)


def connect(near=None, far=None, *, far_is_eager=False, near_extra=None):
    """Connect two protocols; by default two recorders."""
    near = near or Recorder()
    far = far or Recorder()
    connect_in_memory(
        asyncio.get_running_loop(),
        near,
        far,
        near_extra=near_extra or {},
        far_extra={},
        far_is_eager=far_is_eager,
    )
    return near, far


# Beginning


async def test_both_protocols_are_told_before_anything_is_sent():
    """connection_made comes first, at each end with a transport of its own."""
    near, far = connect()
    assert ["made"] == near.events == far.events
    assert near.transport is not far.transport
    assert isinstance(near.transport, asyncio.Transport)


async def test_the_far_protocol_is_told_first():
    """A near protocol that writes in connection_made finds a far end that listens."""

    class Eager(Recorder):
        def connection_made(self, transport):
            super().connection_made(transport)
            transport.write(b"hello")

    _, far = connect(near=Eager())
    await turns()
    assert ["made", b"hello"] == far.events


async def test_what_a_transport_says_about_itself():
    """Extra info is given by name, with the default of the one who asks."""
    near, far = connect(near_extra={"peername": ("127.0.0.1", 80)})
    assert ("127.0.0.1", 80) == near.transport.get_extra_info("peername")
    assert near.transport.get_extra_info("socket") is None
    assert "none" == far.transport.get_extra_info("peername", "none")


async def test_a_repr_tells_the_state():
    """A transport in a log line says whether it is of any use still."""
    near, _ = connect()
    assert "<MemoryTransport open>" == repr(near.transport)
    near.transport.close()
    assert "<MemoryTransport closing>" == repr(near.transport)
    await turns()
    assert "<MemoryTransport closed>" == repr(near.transport)


# Order and borders


async def test_bytes_arrive_from_the_event_loop_and_not_inside_write():
    """Whoever writes goes on before the other end has the bytes."""
    near, far = connect()
    near.transport.write(b"request")
    assert [] == far.data
    await turns()
    assert [b"request"] == far.data


async def test_an_eager_end_has_the_bytes_inside_write():
    """The far end of a client reads a request while it is written."""
    near, far = connect(far_is_eager=True)
    near.transport.write(b"request")
    assert [b"request"] == far.data


async def test_only_the_eager_end_is_eager():
    """What an eager end writes reaches the other from the event loop."""
    near, far = connect(far_is_eager=True)
    far.transport.write(b"reply")
    assert [] == near.data
    await turns()
    assert [b"reply"] == near.data


@pytest.mark.parametrize("eager", [False, True])
async def test_one_write_is_one_data_received(eager):
    """Borders are kept, so that a test decides what arrives together."""
    near, far = connect(far_is_eager=eager)
    for piece in (b"a", b"bc", b"d"):
        near.transport.write(piece)
    await turns()
    assert [b"a", b"bc", b"d"] == far.data


@pytest.mark.parametrize("eager", [False, True])
async def test_an_empty_write_is_nothing(eager):
    """An empty piece would look like the end of the stream."""
    near, far = connect(far_is_eager=eager)
    near.transport.write(b"")
    await turns()
    assert [] == far.data


async def test_writelines_is_one_write():
    """Lines go together, as asyncio sends them."""
    near, far = connect()
    near.transport.writelines([b"a", bytearray(b"b"), memoryview(b"c")])
    await turns()
    assert [b"abc"] == far.data


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
async def test_any_buffer_arrives_as_bytes(kind):
    """A protocol is promised bytes, whatever was written."""
    near, far = connect()
    near.transport.write(kind(b"abc"))
    await turns()
    assert [bytes] == [type(piece) for piece in far.data]
    assert [b"abc"] == far.data


async def test_a_buffer_may_be_used_again_after_write():
    """Write takes the bytes as they are now."""
    near, far = connect()
    buffer = bytearray(b"now")
    near.transport.write(buffer)
    buffer[:] = b"new"
    await turns()
    assert [b"now"] == far.data


@pytest.mark.parametrize("wrong", ["text", 5, None])
async def test_what_is_no_buffer_is_a_type_error(wrong):
    """A socket would not take it either."""
    near, far = connect()
    with pytest.raises(TypeError):
        near.transport.write(wrong)
    await turns()
    assert [] == far.data


async def test_both_directions_are_independent():
    """Each end reads what the other wrote, and nothing of its own."""
    near, far = connect()
    near.transport.write(b"question")
    far.transport.write(b"answer")
    await turns()
    assert ([b"answer"], [b"question"]) == (near.data, far.data)


async def test_a_protocol_may_answer_from_data_received():
    """Writing while reading keeps the order and does not recurse."""

    class Echo(Recorder):
        def data_received(self, data):
            super().data_received(data)
            self.transport.write(data.upper())

    near, _ = connect(far=Echo(), far_is_eager=True)
    near.transport.write(b"a")
    near.transport.write(b"b")
    assert [] == near.data
    await turns()
    assert [b"A", b"B"] == near.data


async def test_a_new_protocol_reads_from_here_on():
    """set_protocol, as an upgrade or TLS does it, also for what waits already."""
    near, far = connect()
    other = Recorder()
    near.transport.write(b"before")
    await turns()
    near.transport.write(b"waiting")
    far.transport.set_protocol(other)
    assert other is far.transport.get_protocol()
    await turns()
    assert ([b"before"], [b"waiting"]) == (far.data, other.data)


async def test_what_is_written_at_once_arrives_inside_of_the_call():
    """The one who writes says that the other end is in the midst of nothing."""
    near, far = connect()
    far.transport.write_at_once(b"a")
    assert [b"a"] == near.data


async def test_what_is_written_at_once_overtakes_nothing():
    """It waits behind what has been written before, and so does what comes after."""
    near, far = connect()
    far.transport.write(b"a")
    far.transport.write_at_once(b"b")
    far.transport.write(b"c")
    assert [] == near.data
    await turns()
    assert [b"a", b"b", b"c"] == near.data


async def test_what_is_written_at_once_waits_for_a_reader_that_has_paused():
    """It is held back as anything else, and counts for the writer's limits."""
    near, far = connect()
    near.transport.pause_reading()
    far.transport.write_at_once(b"a")
    assert ([], 1) == (near.data, far.transport.get_write_buffer_size())
    near.transport.resume_reading()
    await turns()
    assert [b"a"] == near.data


@pytest.mark.parametrize("which", ["near", "far"])
async def test_what_is_written_at_once_to_a_closed_transport_is_ignored(which):
    """Whichever end has been closed, and before it is told."""
    near, far = ends = connect()
    ends[which == "far"].transport.close()
    far.transport.write_at_once(b"a")
    await turns()
    assert [] == near.data


async def test_no_more_arrives_in_a_turn_of_the_loop_than_a_socket_would_be_read():
    """What was written at once comes in its order, 256 kB in each turn, and so does the end."""
    near, far = connect()
    for _ in range(5):
        near.transport.write(bytes(128 * 1024))
    near.transport.close()
    arrived = []
    for _ in range(4):
        await turns(1)
        arrived.append(len(far.data))
    assert ([2, 4, 5, 5], ["eof", LOST]) == (arrived, far.told)


# Flow control


@pytest.mark.parametrize("eager", [False, True])
async def test_a_reader_that_pauses_gets_nothing(eager):
    """Bytes wait in their order until reading goes on."""
    near, far = connect(far_is_eager=eager)
    far.transport.pause_reading()
    assert not far.transport.is_reading()
    near.transport.write(b"a")
    near.transport.write(b"b")
    await turns()
    assert [] == far.data
    far.transport.resume_reading()
    assert far.transport.is_reading()
    near.transport.write(b"c")
    await turns()
    assert [b"a", b"b", b"c"] == far.data


async def test_resuming_delivers_from_the_event_loop():
    """resume_reading comes back before data_received is called, as a socket's does."""
    near, far = connect(far_is_eager=True)
    far.transport.pause_reading()
    near.transport.write(b"a")
    far.transport.resume_reading()
    assert [] == far.data
    await turns()
    assert [b"a"] == far.data


@pytest.mark.parametrize("eager", [False, True])
async def test_a_reader_may_pause_while_it_reads(eager):
    """Nothing more comes after the piece in which a protocol has paused."""

    class Sip(Recorder):
        def data_received(self, data):
            super().data_received(data)
            self.transport.pause_reading()

    near, far = connect(far=Sip(), far_is_eager=eager)
    near.transport.write(b"a")
    near.transport.write(b"b")
    await turns()
    assert [b"a"] == far.data
    far.transport.resume_reading()
    await turns()
    assert [b"a", b"b"] == far.data


async def test_pausing_and_resuming_twice_is_harmless():
    """Both are idempotent, as asyncio's are from 3.7 on."""
    near, far = connect()
    far.transport.pause_reading()
    far.transport.pause_reading()
    near.transport.write(b"a")
    far.transport.resume_reading()
    far.transport.resume_reading()
    await turns()
    assert [b"a"] == far.data


async def test_a_writer_is_paused_above_the_high_mark_and_resumed_at_the_low_one():
    """A slow reader holds the writer up: once each way."""
    near, far = connect()
    near.transport.set_write_buffer_limits(high=10, low=4)
    far.transport.pause_reading()
    near.transport.write(b"x" * 10)
    assert [] == near.told
    near.transport.write(b"x")
    near.transport.write(b"x")
    assert ["pause"] == near.told
    far.transport.resume_reading()
    await turns()
    assert ["pause", "resume"] == near.told


async def test_a_writer_stays_paused_while_more_than_the_low_mark_waits():
    """Reading a little is not enough."""

    class Sip(Recorder):
        def data_received(self, data):
            super().data_received(data)
            self.transport.pause_reading()

    near, far = connect(far=Sip())
    near.transport.set_write_buffer_limits(high=10, low=4)
    far.transport.pause_reading()
    for _ in range(4):
        near.transport.write(b"xxxx")
    seen = []
    for _ in range(4):
        far.transport.resume_reading()
        await turns()
        seen.append((near.transport.get_write_buffer_size(), near.told))
    assert [
        (12, ["pause"]),
        (8, ["pause"]),
        (4, ["pause", "resume"]),
        (0, ["pause", "resume"]),
    ] == seen


async def test_flow_control_works_the_other_way_round_too():
    """A client that does not read pauses the far end."""
    near, far = connect(far_is_eager=True)
    near.transport.pause_reading()
    far.transport.write(b"x" * 70_000)
    assert ["pause"] == far.told
    near.transport.resume_reading()
    await turns()
    assert ["pause", "resume"] == far.told


async def test_an_eager_reader_never_pauses_its_writer():
    """What is read at once does not wait."""
    near, _ = connect(far_is_eager=True)
    near.transport.write(b"x" * 200_000)
    assert [] == near.told
    assert 0 == near.transport.get_write_buffer_size()


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, (16 * 1024, 64 * 1024)),
        ({"high": 100}, (25, 100)),
        ({"low": 100}, (100, 400)),
        ({"high": 100, "low": 7}, (7, 100)),
        ({"high": 0}, (0, 0)),
    ],
)
async def test_the_limits_of_the_write_buffer(given, expected):
    """The defaults are asyncio's own."""
    near, _ = connect()
    near.transport.set_write_buffer_limits(**given)
    assert expected == near.transport.get_write_buffer_limits()


@pytest.mark.parametrize("given", [{"high": 1, "low": 2}, {"high": -1}, {"low": -1}])
async def test_limits_that_make_no_sense_are_a_value_error(given):
    """As asyncio's own, so that a mistake shows in memory as well."""
    near, _ = connect()
    with pytest.raises(ValueError, match="must be >="):
        near.transport.set_write_buffer_limits(**given)


async def test_the_size_of_the_write_buffer_is_what_the_reader_has_not_taken():
    """It counts bytes, and goes back to nothing."""
    near, far = connect()
    far.transport.pause_reading()
    near.transport.write(b"abc")
    near.transport.write(b"de")
    assert 5 == near.transport.get_write_buffer_size()
    far.transport.resume_reading()
    await turns()
    assert 0 == near.transport.get_write_buffer_size()


async def test_a_paused_writer_is_resumed_when_the_reader_goes_away():
    """Nobody waits for a reader that will never come back."""
    near, far = connect()
    far.transport.pause_reading()
    near.transport.write(b"x" * 70_000)
    far.transport.close()
    await turns()
    assert ["pause", "resume", "eof", LOST] == near.told


async def test_a_stream_writer_drains():
    """asyncio's own streams work over it, back-pressure included."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=1000)
    protocol = asyncio.StreamReaderProtocol(reader)
    near, _ = connect(far=protocol)
    other = asyncio.StreamReaderProtocol(asyncio.StreamReader())
    near.transport.set_protocol(other)
    other.connection_made(near.transport)
    writer = asyncio.StreamWriter(near.transport, other, None, loop)

    async def write():
        for _ in range(50):
            writer.write(b"x" * 4000)
            await writer.drain()
        writer.write_eof()

    writing = asyncio.create_task(write())
    received = await reader.read()
    await writing
    writer.close()
    await writer.wait_closed()
    assert 200_000 == len(received)


# Half-close


async def test_the_end_comes_after_all_data():
    """write_eof is in order with what was written before."""
    near, far = connect(far=Recorder(stays_half_open=True))
    near.transport.write(b"last")
    near.transport.write_eof()
    await turns()
    assert ["made", b"last", "eof"] == far.events


async def test_the_end_waits_for_a_reader_that_has_paused():
    """Paused means paused, for the end as for the bytes before it."""
    near, far = connect(far=Recorder(stays_half_open=True))
    far.transport.pause_reading()
    near.transport.write(b"last")
    near.transport.write_eof()
    await turns()
    assert ["made"] == far.events
    far.transport.resume_reading()
    await turns()
    assert ["made", b"last", "eof"] == far.events


async def test_an_eager_end_learns_of_the_end_in_order_too():
    """The end never overtakes data, nor waits for ever."""
    near, far = connect(far=Recorder(stays_half_open=True), far_is_eager=True)
    near.transport.write(b"last")
    near.transport.write_eof()
    await turns()
    assert ["made", b"last", "eof"] == far.events


async def test_bytes_that_were_handed_on_may_count_as_unread():
    """Their writer waits until they are read, and for nobody who has gone."""
    near, far = connect(far_is_eager=True)
    far.transport.weigh(100_000)
    assert ["pause"] == near.told
    assert 100_000 == near.transport.get_write_buffer_size()
    far.transport.weigh(-80_000)
    assert ["pause"] == near.told
    far.transport.weigh(-10_000)
    assert ["pause", "resume"] == near.told
    far.transport.close()
    far.transport.weigh(-10_000)
    assert 0 == near.transport.get_write_buffer_size()


async def test_a_half_closed_connection_carries_the_answer():
    """Whoever has written its end still reads."""
    near, far = connect(far=Recorder(stays_half_open=True))
    assert near.transport.can_write_eof()
    near.transport.write_eof()
    await turns()
    far.transport.write(b"answer")
    await turns()
    assert [b"answer"] == near.data
    assert not near.transport.is_closing()
    assert not far.transport.is_closing()


async def test_a_protocol_that_does_not_want_half_a_connection_is_closed():
    """eof_received returning nothing closes, as asyncio promises."""
    near, far = connect()
    near.transport.write_eof()
    await turns()
    assert ["eof", LOST] == far.told
    assert ["eof", LOST] == near.told


async def test_writing_after_the_end_is_an_error():
    """As asyncio's own transport says it."""
    near, _ = connect(far=Recorder(stays_half_open=True))
    near.transport.write_eof()
    with pytest.raises(RuntimeError, match="write_eof"):
        near.transport.write(b"more")


async def test_the_end_is_told_once():
    """Writing the end twice, and closing after it, is one end for the reader."""
    near, far = connect(far=Recorder(stays_half_open=True))
    near.transport.write_eof()
    await turns()
    near.transport.write_eof()
    near.transport.close()
    await turns()
    assert 1 == far.told.count("eof")


# Closing


async def test_closing_delivers_what_was_written():
    """close() flushes: the reader gets all bytes, then the end."""
    near, far = connect()
    near.transport.write(b"a")
    near.transport.write(b"b")
    near.transport.close()
    assert near.transport.is_closing()
    await turns()
    assert ["made", b"a", b"b", "eof", LOST] == far.events


async def test_the_one_who_closes_is_told_later():
    """connection_lost never comes from inside close()."""
    near, _ = connect()
    near.transport.close()
    assert [] == near.told
    await turns()
    assert [LOST] == near.told


@pytest.mark.parametrize("twice", ["close", "abort", "reset"])
async def test_connection_lost_comes_once(twice):
    """However often and from whichever side it is closed."""
    near, far = connect()
    near.transport.close()
    getattr(near.transport, twice)()
    getattr(far.transport, twice)()
    await turns()
    assert [LOST] == near.told
    assert 1 == len([event for event in far.told if event[0] == "lost"])


async def test_both_ends_may_close_at_once():
    """Each protocol is told of its own close."""
    near, far = connect()
    near.transport.close()
    far.transport.close()
    await turns()
    assert [LOST] == near.told == far.told


async def test_nothing_is_received_after_closing():
    """What was under way to a closed end is lost."""
    near, far = connect()
    far.transport.write(b"too late")
    near.transport.close()
    far.transport.write(b"later")
    await turns()
    assert [] == near.data


async def test_closing_while_reading_stops_the_reading():
    """A protocol that closes in data_received gets no more of what waits."""

    class OneIsEnough(Recorder):
        def data_received(self, data):
            super().data_received(data)
            self.transport.close()

    near, far = connect(far=OneIsEnough())
    near.transport.write(b"a")
    near.transport.write(b"b")
    await turns()
    assert [b"a"] == far.data


async def test_writing_to_a_closed_transport_is_ignored():
    """As to a socket that is closing."""
    near, far = connect()
    near.transport.close()
    near.transport.write(b"late")
    near.transport.write_eof()
    await turns()
    assert [] == far.data


async def test_reading_is_over_once_closed():
    """A closed transport does not read, and resuming does not bring it back."""
    near, _ = connect()
    near.transport.close()
    assert not near.transport.is_reading()
    near.transport.resume_reading()
    await turns()
    assert not near.transport.is_reading()


async def test_a_writer_is_not_paused_after_closing():
    """pause_writing is for connections that live."""
    near, far = connect()
    far.transport.pause_reading()
    near.transport.close()
    near.transport.write(b"x" * 100_000)
    await turns()
    assert "pause" not in near.told


# Breaking off


async def test_a_reset_is_an_error_at_the_other_end():
    """The one who is reset sees ConnectionResetError, the other its own close."""
    near, far = connect()
    far.transport.reset()
    await turns()
    assert ([RESET], [LOST]) == (near.told, far.told)


async def test_a_reset_carries_the_errno():
    """The error says what a socket's would."""
    errors = []

    class Keep(Recorder):
        def connection_lost(self, exc):
            errors.append(exc)

    _, far = connect(near=Keep())
    far.transport.reset()
    await turns()
    assert [errno.ECONNRESET] == [error.errno for error in errors]


async def test_a_reset_comes_after_the_bytes_before_it():
    """So that a fault can strike in the middle of a body."""
    near, far = connect()
    far.transport.write(b"half a bo")
    far.transport.reset()
    await turns()
    assert ["made", b"half a bo", RESET] == near.events


async def test_aborting_ends_both_sides():
    """abort() is told as a lost connection without an error."""
    near, far = connect()
    near.transport.abort()
    await turns()
    assert [LOST] == near.told
    assert LOST == far.told[-1]


@pytest.mark.parametrize("eager", [False, True])
async def test_a_protocol_that_raises_loses_its_connection(eager):
    """As asyncio does it: the loop's exception handler, then connection_lost with the error."""
    contexts = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: contexts.append(context))

    class Broken(Recorder):
        def data_received(self, data):
            raise ZeroDivisionError

    near, far = connect(far=Broken(), far_is_eager=eager)
    near.transport.write(b"a")
    near.transport.write(b"b")
    await turns()
    assert [ZeroDivisionError] == [type(context["exception"]) for context in contexts]
    assert [far.transport] == [context["transport"] for context in contexts]
    assert [("lost", ZeroDivisionError)] == far.told
    assert ["eof", LOST] == near.told


async def test_a_protocol_that_raises_at_the_end_loses_its_connection():
    """eof_received is guarded as data_received is."""
    contexts = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: contexts.append(context))

    class Broken(Recorder):
        def eof_received(self):
            raise ZeroDivisionError

    near, far = connect(far=Broken())
    near.transport.write_eof()
    await turns()
    assert [ZeroDivisionError] == [type(context["exception"]) for context in contexts]
    assert [("lost", ZeroDivisionError)] == far.told


# Loop and memory


def test_closing_after_the_loop_has_gone_is_silent():
    """A connection may outlive asyncio.run in a session that somebody keeps."""
    kept = []

    async def main():
        kept.extend(connect())

    asyncio.run(main())
    near, far = kept
    near.transport.close()
    far.transport.close()
    assert near.transport.is_closing()
    assert far.transport.is_closing()


async def test_a_closed_pair_is_given_back():
    """Nothing keeps the two ends alive but each other."""
    near, far = connect()
    ends = [weakref.ref(near.transport), weakref.ref(far.transport)]
    near.transport.close()
    await turns()
    del near, far
    gc.collect()
    assert [None, None] == [end() for end in ends]


async def test_an_end_can_be_looked_for():
    """A transport takes weak references, and no attributes of others by chance."""
    near, _ = connect()
    assert isinstance(weakref.ref(near.transport)(), MemoryTransport)


# The second opinion: the same scenes over a pair of sockets


async def settle():
    """Give the kernel the time that memory does not need."""
    await turns()
    await asyncio.sleep(0.003)
    await turns()


async def talk(near, far):
    """Question and answer, and a close."""
    near.transport.write(b"question")
    await settle()
    far.transport.write(b"answer")
    await settle()
    near.transport.close()


async def close_after_writing(near, far):
    """All that was written arrives before the end."""
    near.transport.write(b"a")
    near.transport.writelines([b"b", b"c"])
    near.transport.close()


async def answer_after_half_close(near, far):
    """One direction ends before the other."""
    near.transport.write(b"question")
    near.transport.write_eof()
    await settle()
    far.transport.write(b"answer")
    far.transport.close()


async def close_after_half_close(near, far):
    """A close that tells the other end nothing new."""
    near.transport.write_eof()
    await settle()
    near.transport.close()
    await settle()
    far.transport.close()


async def write_after_close(near, far):
    """Writing to a transport that is closing."""
    near.transport.close()
    near.transport.write(b"late")


async def close_twice(near, far):
    """Closing what is closed."""
    near.transport.close()
    near.transport.close()
    await settle()
    near.transport.close()
    near.transport.abort()


async def read_later(near, far):
    """A reader that pauses before the bytes and the end come."""
    far.transport.pause_reading()
    near.transport.write(b"waits")
    near.transport.write_eof()
    await settle()
    assert far.data == []
    far.transport.resume_reading()


async def pause_after_close(near, far):
    """Pausing and resuming what is closed."""
    near.transport.close()
    await settle()
    near.transport.pause_reading()
    near.transport.resume_reading()


async def abort(near, far):
    """An abort with nothing under way."""
    near.transport.abort()


async def connect_by_socket(near, far):
    """Connect two protocols by a pair of sockets."""
    loop = asyncio.get_running_loop()
    a, b = socket.socketpair()
    await loop.create_connection(lambda: far, sock=b)
    await loop.create_connection(lambda: near, sock=a)


def transcript(recorder):
    """What a protocol was told, the borders of writes left out."""
    return [b"".join(recorder.data), *recorder.told]


SCENES = [
    talk,
    close_after_writing,
    answer_after_half_close,
    close_after_half_close,
    write_after_close,
    close_twice,
    read_later,
    pause_after_close,
    abort,
]


@pytest.mark.parametrize("stays_half_open", [False, True], ids=["whole", "half"])
@pytest.mark.parametrize("eager", [False, True], ids=["lazy", "eager"])
@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
async def test_a_protocol_is_told_what_a_socket_would_tell_it(scene, eager, stays_half_open):
    """The same scene over a pair of sockets gives the same transcript at both ends."""
    over_sockets = Recorder(), Recorder(stays_half_open=stays_half_open)
    in_memory = Recorder(), Recorder(stays_half_open=stays_half_open)
    await connect_by_socket(*over_sockets)
    connect(*in_memory, far_is_eager=eager)
    told = []
    for pair in (over_sockets, in_memory):
        await scene(*pair)
        await settle()
        told.append([transcript(recorder) for recorder in pair])
        for recorder in pair:
            recorder.transport.close()
        await turns()
    assert told[0] == told[1]
