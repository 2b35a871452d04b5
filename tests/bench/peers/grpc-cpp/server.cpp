// The peer in C++: gRPC's callback API with its defaults. Each stream counts in a map of its own,
// which is merged into the shared one under a lock when the stream ends. There is no Redis behind
// it, so what it is compared with does more work.
#include "telemetry.grpc.pb.h"

#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <grpcpp/grpcpp.h>
#include <mutex>
#include <string>
#include <unordered_map>

namespace
{

using Counts = std::unordered_map<std::string, uint64_t>;

class Shared
{
  public:
    void merge(const Counts &local)
    {
        std::lock_guard<std::mutex> guard(lock_);
        for (const auto &[device, count] : local)
            counts_[device] += count;
    }

    // What was counted, on one line of JSON, so that the load can be checked against it.
    void print()
    {
        std::lock_guard<std::mutex> guard(lock_);
        uint64_t packets = 0;
        for (const auto &[device, count] : counts_)
            packets += count;
        std::printf("{\"packets\": %llu, \"devices\": %zu, \"grpc\": \"%s\"}\n",
                    static_cast<unsigned long long>(packets), counts_.size(),
                    grpc::Version().c_str());
    }

  private:
    std::mutex lock_;
    Counts counts_;
};

// One stream; deletes itself when gRPC is done with it.
class Stream final : public grpc::ServerReadReactor<telemetry::Packet>
{
  public:
    Stream(Shared &shared, telemetry::Ack *ack) : shared_(shared), ack_(ack)
    {
        StartRead(&packet_);
    }

    void OnReadDone(bool ok) override
    {
        if (ok) {
            ++counts_[packet_.device_id()];
            ++received_;
            StartRead(&packet_);
            return;
        }
        shared_.merge(counts_);
        ack_->set_received(received_);
        Finish(grpc::Status::OK);
    }

    void OnDone() override
    {
        delete this;
    }

  private:
    Shared &shared_;
    telemetry::Ack *ack_;
    telemetry::Packet packet_;
    Counts counts_;
    uint64_t received_ = 0;
};

class Ingest final : public telemetry::TelemetryIngest::CallbackService
{
  public:
    explicit Ingest(Shared &shared) : shared_(shared)
    {
    }

    grpc::ServerReadReactor<telemetry::Packet> *StreamPackets(grpc::CallbackServerContext *,
                                                              telemetry::Ack *ack) override
    {
        return new Stream(shared_, ack);
    }

  private:
    Shared &shared_;
};

} // namespace

int main(int argc, char **argv)
{
    if (argc != 3 || std::strcmp(argv[1], "--port") != 0) {
        std::fprintf(stderr, "Usage: %s --port PORT\n", argv[0]);
        return 2;
    }
    sigset_t signals; // blocked before gRPC starts its threads, which inherit that
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigprocmask(SIG_BLOCK, &signals, nullptr);

    Shared shared;
    Ingest service(shared);
    int port = 0, signal = 0;
    grpc::ServerBuilder builder;
    builder.AddListeningPort(std::string("127.0.0.1:") + argv[2], grpc::InsecureServerCredentials(),
                             &port);
    builder.RegisterService(&service);
    const auto server = builder.BuildAndStart();
    if (!server || port == 0)
        return EXIT_FAILURE; // gRPC has logged why
    std::printf("listening on 127.0.0.1:%d\n", port);
    std::fflush(stdout);
    sigwait(&signals, &signal);
    server->Shutdown(std::chrono::system_clock::now());
    shared.print();
}
