"""grpc.reflection: a client that has no .proto file lists, fetches descriptors, and calls.

The client is written out here over generic stubs: the one message class that it needs to begin
with is the reflection service's own, and that comes from the descriptor that the server sends.
"""
import queue

import grpc
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from harness import grpc_client
from harness.env import PATIENCE
from harness.h2_client import H2Client
from harness.h2_raw import INITIAL_WINDOW_SIZE, Raw, data
from harness.sender import assert_same
from harness.wire import framed, varint

VERSIONS = ["v1", "v1alpha"]
NOT_FOUND, INVALID_ARGUMENT = 5, 3
FILES = {
    "telemetry.proto",
    "grpc/health/v1/health.proto",
    "grpc/reflection/v1/reflection.proto",
    "grpc/reflection/v1alpha/reflection.proto",
}
SERVICES = {
    "telemetry.TelemetryIngest",
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
}


def path(version):
    return f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo"


def field(number, content):
    return varint(number << 3 | 2) + varint(len(content)) + content


def fields(message):
    """A message without a descriptor: pairs of field number and content."""
    at, found = 0, []

    def read_varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(message):
        tag = read_varint()
        value = read_varint()
        if tag & 7 == 2:
            value, at = message[at : at + value], at + value
        found.append((tag >> 3, value))
    return found


def descriptors_of(answer):
    """The file descriptors in a response, read without any descriptor."""
    (response,) = [content for number, content in fields(answer) if number == 4]
    return [
        descriptor_pb2.FileDescriptorProto.FromString(content) for _, content in fields(response)
    ]


class Reflection:
    """Asks one question after the other in one call, like the tools do."""

    def __init__(self, channel, version):
        self.channel, self.version = channel, version
        self.pool = descriptor_pool.DescriptorPool()
        name = f"grpc/reflection/{version}/reflection.proto"
        (answer,) = self.raw([field(3, name.encode())])
        (file,) = descriptors_of(answer)
        assert file.name == name
        self.pool.Add(file)
        self.request = self.message(f"grpc.reflection.{version}.ServerReflectionRequest")
        self.response = self.message(f"grpc.reflection.{version}.ServerReflectionResponse")

    def raw(self, requests):
        call = self.channel.stream_stream(path(self.version))
        return list(call(iter(requests), timeout=60 * PATIENCE))

    def message(self, name):
        descriptor = self.pool.FindMessageTypeByName(name)
        return message_factory.MessageFactory(self.pool).GetPrototype(descriptor)

    def ask(self, *questions):
        """Questions are pairs: ("file_by_filename", "x.proto")."""
        requests = [self.request(host="h", **{what: value}) for what, value in questions]
        answers = self.raw(request.SerializeToString() for request in requests)
        answers = [self.response.FromString(answer) for answer in answers]
        for request, answer in zip(requests, answers, strict=True):
            assert answer.valid_host == "h"
            assert answer.original_request == request
        return answers

    def file(self, what, value):
        (answer,) = self.ask((what, value))
        assert answer.WhichOneof("message_response") == "file_descriptor_response", answer
        (content,) = answer.file_descriptor_response.file_descriptor_proto
        return descriptor_pb2.FileDescriptorProto.FromString(content)


@pytest.fixture
def channel(tallyd):
    with grpc_client.connect(tallyd.target) as channel:
        yield channel


@pytest.mark.parametrize("version", VERSIONS)
def test_a_client_without_the_proto_file_lists_describes_and_calls(redis, channel, version):
    reflection = Reflection(channel, version)
    (answer,) = reflection.ask(("list_services", ""))
    services = {service.name for service in answer.list_services_response.service}
    assert services == SERVICES

    file = reflection.file("file_containing_symbol", "telemetry.TelemetryIngest")
    assert file.name == "telemetry.proto" and not file.dependency
    reflection.pool.Add(file)
    method = reflection.pool.FindServiceByName("telemetry.TelemetryIngest").methods[0]
    packet = reflection.message(method.input_type.full_name)
    ack = reflection.message(method.output_type.full_name)
    stream_packets = channel.stream_unary(
        f"/{method.containing_service.full_name}/{method.name}",
        request_serializer=packet.SerializeToString,
        response_deserializer=ack.FromString,
    )
    packets = (packet(device_id=f"d{i % 3}", timestamp=i, payload=b"x") for i in range(30))
    assert stream_packets(packets, timeout=60 * PATIENCE).received == 30
    assert_same(redis.totals(), {"d0": 10, "d1": 10, "d2": 10})


@pytest.mark.parametrize("version", VERSIONS)
def test_files_are_found_by_name_and_by_all_they_define(channel, version):
    reflection = Reflection(channel, version)
    for name in FILES:
        file = reflection.file("file_by_filename", name)
        assert file.name == name
        symbols = [file.package + "." + service.name for service in file.service]
        symbols += [f"{symbols[0]}.{method.name}" for method in file.service[0].method]
        for message in file.message_type:
            full = f"{file.package}.{message.name}"
            symbols += [full] + [f"{full}.{enum.name}" for enum in message.enum_type]
            symbols += [f"{full}.{field.name}" for field in message.field]
        assert len(symbols) > 3
        for symbol in symbols:
            assert reflection.file("file_containing_symbol", symbol).name == name, symbol


@pytest.mark.parametrize("version", VERSIONS)
def test_what_is_not_there_is_an_error_response_and_the_call_goes_on(channel, version):
    reflection = Reflection(channel, version)
    extension = {"containing_type": "telemetry.Packet", "extension_number": 100}
    answers = reflection.ask(
        ("file_by_filename", "nothing.proto"),
        ("file_containing_symbol", "telemetry.Nothing"),
        ("file_containing_symbol", ""),
        ("file_containing_extension", extension),
        ("all_extension_numbers_of_type", "telemetry.Nothing"),
        ("all_extension_numbers_of_type", "telemetry.TelemetryIngest"),
        ("all_extension_numbers_of_type", "telemetry.Packet"),
        ("list_services", "*"),
    )
    for answer in answers[:6]:
        assert answer.error_response.error_code == NOT_FOUND
        assert answer.error_response.error_message
    numbers = answers[6].all_extension_numbers_response
    assert answers[6].WhichOneof("message_response") == "all_extension_numbers_response"
    assert (numbers.base_type_name, list(numbers.extension_number)) == ("telemetry.Packet", [])
    assert len(answers[7].list_services_response.service) == len(SERVICES)
    (answer,) = reflection.raw([field(1, b"h")])
    assert reflection.response.FromString(answer).error_response.error_code == INVALID_ARGUMENT


def test_a_call_without_requests_is_over_at_once(tallyd, closing):
    client = closing(H2Client(tallyd.grpc_port))
    reply = client.call(b"", path=path("v1"))
    assert (reply.status, reply.data) == (0, b"")


@pytest.mark.parametrize("junk", [b"\xff", b"\x1a\x05abc", b"\x1a\x02ab" * 700 + b"\x1a"])
def test_no_request_at_all_ends_the_call(tallyd, closing, junk):
    client = closing(H2Client(tallyd.grpc_port))
    assert client.call(framed(junk), path=path("v1")).status == 13


def test_a_client_that_asks_and_does_not_read_is_bounded(tallyd, closing):
    """Its answers wait for it, up to a bound; then the call fails, and the connection lives."""
    client = closing(H2Client(tallyd.grpc_port, initial_window=100))
    ask = framed(field(3, b"telemetry.proto"))
    stream = client.open(path=path("v1"))
    client.send(stream, ask * 2000)
    client.window(stream, 1 << 20)
    reply = client.finish(stream)
    assert reply.status == 8, reply.trailers
    assert 1000 < len(reply.data) < 70_000
    reader = client.open(path=path("v1"))
    client.window(reader, 1 << 20)
    client.send(reader, ask, end=True)
    assert client.finish(reader).status == 0


def test_clients_that_ask_and_do_not_read_are_bounded_together(redis, start_tallyd, closing):
    """A worker holds 16 MiB of answers; who then finds no room is told when to come again."""
    tallyd = start_tallyd(redis.port, workers=1)
    deaf = closing(Raw(tallyd.grpc_port)).greet((INITIAL_WINDOW_SIZE, 0))
    asks = framed(field(3, b"telemetry.proto")) * 200
    last = 2 * 400 + 1
    for stream in range(1, last + 1, 2):
        deaf.send(deaf.request(stream, path=path("v1")), data(stream, asks))
    deaf.wait(lambda seen: last in seen.ended, "the last one's answer")
    assert deaf.seen.field(last, "grpc-status") == "14"
    assert int(deaf.seen.field(last, "grpc-retry-pushback-ms")) >= 1000


def test_streams_that_are_open_end_with_the_server(tallyd, channel):
    questions = queue.Queue()
    questions.put(field(7, b""))
    call = channel.stream_stream(path("v1"))(iter(questions.get, None))
    assert next(call)
    tallyd.terminate()
    with pytest.raises(grpc.RpcError) as ended:
        next(call)
    questions.put(None)
    assert ended.value.code() == grpc.StatusCode.UNAVAILABLE
    assert ended.value.details() == "shutting down"
    assert tallyd.wait() == 0


def test_libraries_of_both_versions_are_counted_apart_from_streams(tallyd, channel):
    for version in VERSIONS:
        Reflection(channel, version)
    totals = tallyd.stats()["totals"]
    assert totals["service_calls_opened"] == 2
    assert totals["streams_opened"] == 0
