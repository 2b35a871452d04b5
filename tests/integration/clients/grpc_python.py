"""Plays calls with Debian's python3-grpcio, as harness/foreign.py has them: a JSON object on
standard input, a list of results on standard output. Messages go as bytes, so that no stub stands
in between."""
import base64
import json
import sys
import threading
import time

import grpc


def connect(script):
    options = [
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 500),
    ]
    if script["keepalive_ms"]:
        options += [
            ("grpc.keepalive_time_ms", script["keepalive_ms"]),
            ("grpc.keepalive_timeout_ms", 5000),
            ("grpc.keepalive_permit_without_calls", 1),
            ("grpc.http2.max_pings_without_data", 0),
            ("grpc.http2.min_sent_ping_interval_without_data_ms", script["keepalive_ms"]),
        ]
    target = script["targets"][0]
    if len(script["targets"]) > 1:
        target = "ipv4:" + ",".join(script["targets"])
        options.append(("grpc.lb_policy_name", "round_robin"))
    if not script["ca"]:
        return grpc.insecure_channel(target, options)
    with open(script["ca"], "rb") as file:
        credentials = grpc.ssl_channel_credentials(file.read())
    return grpc.secure_channel(target, credentials, options)


def play(channel, call):
    over = threading.Event()

    def requests():
        for _ in range(call["repeat"]):
            yield from call["messages"]
        over.wait(call["hold_ms"] / 1000)

    responses = channel.stream_stream(call["path"])(
        requests(),
        timeout=call["deadline_ms"] / 1000,
        metadata=list(call["metadata"].items()),
        wait_for_ready=True,
        compression=grpc.Compression.Gzip if call["gzip"] else None,
    )
    if call["cancel_ms"]:
        threading.Timer(call["cancel_ms"] / 1000, responses.cancel).start()
    got = []
    try:
        for response in responses:
            got.append(base64.b64encode(response).decode())
    except grpc.RpcError:
        pass  # the status tells
    over.set()
    return {
        "code": responses.code().value[0],
        "message": responses.details() or "",
        "responses": got,
        "trailers": {name: str(value) for name, value in responses.trailing_metadata() or ()},
    }


def play_times(channel, call, results):
    for i in range(call["times"]):
        if i > 0:
            time.sleep(call["pause_ms"] / 1000)
        results.append(play(channel, call))


def main():
    script = json.load(sys.stdin)
    for call in script["calls"]:
        call["messages"] = [base64.b64decode(message) for message in call["messages"]]
    results = [[] for _ in script["calls"]]
    with connect(script) as channel:
        threads = [
            threading.Thread(target=play_times, args=(channel, call, result))
            for call, result in zip(script["calls"], results)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    json.dump(sum(results, []), sys.stdout)


main()
