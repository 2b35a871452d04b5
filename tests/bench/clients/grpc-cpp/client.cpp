// Load from a real client library: gRPC C++, one thread a stream, blocking writes with gRPC's
// defaults, so each message goes out as the library likes it. Packets are rendered when they are
// sent, as devices do it.
#include "telemetry.grpc.pb.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <grpcpp/grpcpp.h>
#include <map>
#include <random>
#include <string>
#include <thread>
#include <vector>

namespace
{

const int64_t TIMESTAMP_MS = 1700000000000; // six bytes on the wire, like today's

struct Options {
    std::string target = "127.0.0.1:50051";
    uint64_t packets = 100000, streams = 2, devices = 1000, packet_bytes = 45;
};

struct Result {
    uint64_t sent = 0, acked = 0;
    grpc::Status status;
};

// Makes `packet` as long as was asked for; the id's width is what sets the shortest.
bool fill_payload(telemetry::Packet &packet, uint64_t packet_bytes)
{
    packet.clear_payload();
    const uint64_t bare = packet.ByteSizeLong();
    uint64_t length = packet_bytes > bare ? packet_bytes - bare : 0;
    do
        packet.set_payload(std::string(length, 'x'));
    while (packet.ByteSizeLong() > packet_bytes && length-- > 0);
    return packet.ByteSizeLong() == packet_bytes;
}

// A channel of its own for each stream: equal channels would share one connection otherwise.
void send(const Options &options, uint64_t number, Result &result)
{
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    const auto stub = telemetry::TelemetryIngest::NewStub(
        grpc::CreateCustomChannel(options.target, grpc::InsecureChannelCredentials(), arguments));
    const uint64_t packets =
        options.packets / options.streams + (number < options.packets % options.streams);
    std::minstd_rand random(static_cast<unsigned>(number + 1));
    std::uniform_int_distribution<uint64_t> pick(0, options.devices - 1);
    grpc::ClientContext context;
    telemetry::Ack ack;
    telemetry::Packet packet;
    char device[32];

    packet.set_timestamp(TIMESTAMP_MS);
    packet.set_device_id("device-0000000");
    fill_payload(packet, options.packet_bytes);
    const auto writer = stub->StreamPackets(&context, &ack);
    for (; result.sent < packets; result.sent++) {
        const int length = std::snprintf(device, sizeof device, "device-%07llu",
                                         static_cast<unsigned long long>(pick(random)));
        packet.set_device_id(device, static_cast<size_t>(length));
        if (!writer->Write(packet))
            break;
    }
    writer->WritesDone();
    result.status = writer->Finish();
    result.acked = ack.received();
}

bool read_options(int argc, char **argv, Options &options)
{
    const std::map<std::string, uint64_t *> numbers = {{"--n", &options.packets},
                                                       {"--streams", &options.streams},
                                                       {"--devices", &options.devices},
                                                       {"--packet-bytes", &options.packet_bytes}};
    for (int i = 1; i < argc; i += 2) {
        const auto number = numbers.find(argv[i]);
        if (i + 1 == argc)
            return false;
        if (number != numbers.end())
            *number->second = std::strtoull(argv[i + 1], nullptr, 10);
        else if (std::string(argv[i]) == "--target")
            options.target = argv[i + 1];
        else
            return false;
    }
    telemetry::Packet packet;
    packet.set_timestamp(TIMESTAMP_MS);
    packet.set_device_id("device-0000000");
    return options.packets > 0 && options.streams > 0 && options.devices > 0 &&
           options.devices <= 10000000 && fill_payload(packet, options.packet_bytes);
}

} // namespace

int main(int argc, char **argv)
{
    Options options;
    if (!read_options(argc, argv, options)) {
        std::fprintf(stderr,
                     "Usage: %s [--target HOST:PORT] [--n PACKETS] [--streams S]\n"
                     "       [--devices D, at most 10000000] [--packet-bytes B, at least 23]\n",
                     argv[0]);
        return 2;
    }
    std::vector<Result> results(options.streams);
    std::vector<std::thread> threads;
    const auto start = std::chrono::steady_clock::now();
    for (uint64_t i = 0; i < options.streams; i++)
        threads.emplace_back(send, std::cref(options), i, std::ref(results[i]));
    for (auto &thread : threads)
        thread.join();
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;

    uint64_t sent = 0, acked = 0;
    for (const auto &result : results) {
        sent += result.sent;
        acked += result.acked;
        if (!result.status.ok())
            std::fprintf(stderr, "%s: status %d: %s\n", argv[0], result.status.error_code(),
                         result.status.error_message().c_str());
    }
    std::printf("{\"packets\": %llu, \"seconds\": %.6f, \"acked\": %llu}\n",
                static_cast<unsigned long long>(sent), seconds.count(),
                static_cast<unsigned long long>(acked));
    return sent == options.packets && acked == sent ? EXIT_SUCCESS : EXIT_FAILURE;
}
