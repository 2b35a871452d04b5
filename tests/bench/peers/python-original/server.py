"""The peer that tallyd replaces: the teaching demo as it was. grpc.aio, and for each packet one
HINCRBY that is waited for before the next packet is read. The Ack comes at the stream's end."""
import argparse
import asyncio
import json
import signal

import grpc
import redis.asyncio as redis
import telemetry_pb2
import telemetry_pb2_grpc


class Ingest(telemetry_pb2_grpc.TelemetryIngestServicer):
    def __init__(self, client):
        self.redis = client
        self.packets = 0

    async def StreamPackets(self, request_iterator, context):
        received = 0
        async for packet in request_iterator:
            await self.redis.hincrby("device_metrics", packet.device_id, 1)
            received += 1
        self.packets += received
        return telemetry_pb2.Ack(received=received)


async def serve(port, redis_port):
    client = redis.Redis(host="127.0.0.1", port=redis_port)
    ingest = Ingest(client)
    server = grpc.aio.server()
    telemetry_pb2_grpc.add_TelemetryIngestServicer_to_server(ingest, server)
    bound = server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    print(f"listening on 127.0.0.1:{bound}", flush=True)
    await stop.wait()
    await server.stop(grace=None)
    devices = await client.hlen("device_metrics")
    await client.close()
    print(json.dumps({"packets": ingest.packets, "devices": devices, "grpc": grpc.__version__}))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="TCP port of 127.0.0.1; 0: a free one")
    parser.add_argument("--redis-port", type=int, required=True)
    options = parser.parse_args()
    asyncio.run(serve(options.port, options.redis_port))


if __name__ == "__main__":
    main()
