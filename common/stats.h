/*
 * Statistics of a worker, of the flusher and of main: plain 64-bit counters, declared once
 * in the lists below and expanded for storage, sum and output; and the flusher's histograms.
 *
 * One writer a block, any number of readers. Both sides use relaxed atomics: a reader sees each
 * counter whole and never falling, but two counters not of the same instant. What must balance in
 * one scrape (promise P3) is in common/balance.h, not here.
 */
#ifndef TALLYD_COMMON_STATS_H
#define TALLYD_COMMON_STATS_H

#include "common/compiler.h"
#include "common/histogram.h"

#include <stdatomic.h>
#include <stdint.h>

/* Writer: the worker. All but the gauges only grow. */
#define STATS_WORKER(X)                                                                            \
    X(connections_opened, "connections taken")                                                     \
    X(connections_closed, "connections closed, by either side")                                    \
    X(streams_opened, "streams begun")                                                             \
    X(streams_closed, "streams ended, any way")                                                    \
    X(streams_acknowledged, "streams whose Ack was sent with status OK")                           \
    X(streams_failed, "streams ended by the server with an error status")                          \
    X(streams_refused, "streams refused before anything of theirs was counted")                    \
    X(streams_unauthenticated, "of them: without a token, or with an unknown one")                 \
    X(streams_denied, "of them: with a token that lacks the right")                                \
    X(streams_overload, "of them: because there were too many, or memory was short")               \
    X(streams_expired, "streams that reached the deadline of their grpc-timeout")                  \
    X(streams_not_allowed, "streams ended by a device_id that their token does not cover")         \
    X(service_calls_opened, "calls of the health and reflection services")                         \
    X(service_calls_closed, "of them: ended")                                                      \
    X(streams_waiting, "gauge: ended streams that wait for their commit")                          \
    X(bytes_received, "bytes received on gRPC connections")                                        \
    X(packets_arrived, "packets that arrived whole, the rejected ones included, up to the last "   \
                       "receive")                                                                  \
    X(cpu_ns, "gauge: CPU time of the worker's thread, as of the last cut, or a second ago")       \
    X(counter_bytes, "gauge: memory of its counters and their index, as of then")                  \
    X(connections_aged, "connections told to go because of --max-connection-age-ms")               \
    X(turns_costly, "turns of connections of which little was received, because of what it costs") \
    X(bad_peers, "connections closed because of what the peer did, for any of these reasons")      \
    STATS_BAD_PEERS(X)

/* Why; a part of the list above. */
#define STATS_BAD_PEERS(X)                                                                         \
    X(bad_peer_protocol, "broke HTTP/2, or spoke something else")                                  \
    X(bad_peer_slow, "did not end a TLS handshake, its preface or a header block in time")         \
    X(bad_peer_flood, "sent too many frames that carry nothing")                                   \
    X(bad_peer_reset, "had too many streams reset, by either side")                                \
    X(bad_peer_headers, "sent header blocks over the limit")                                       \
    X(bad_peer_pings, "pinged too often")                                                          \
    X(bad_peer_stall, "did not read what was sent to it")                                          \
    X(bad_peer_gone, "did not answer a keepalive ping")                                            \
    X(bad_peer_tls, "failed a TLS handshake")

/* Writer: the flusher. */
#define STATS_FLUSHER(X)                                                                           \
    X(cuts, "cuts made")                                                                           \
    X(batches_committed, "transactions confirmed by Redis")                                        \
    X(batches_resent,                                                                              \
      "transactions sent again after the ledger showed that they were not applied")                \
    X(batches_resent_blind, "of them: sent again after Redis had lost the ledger, or gone back")   \
    X(outcomes_applied, "unknown outcomes that the ledger resolved as applied")                    \
    X(outcomes_not_applied, "unknown outcomes that the ledger resolved as not applied")            \
    X(redis_connects, "connections made to Redis by the flusher")                                  \
    X(redis_errors, "failed attempts to connect or commit")                                        \
    X(rollbacks, "times Redis had lost something it had confirmed")                                \
    X(quarantined_fields, "counts that Redis refused and that went to the quarantine hash")        \
    X(devices, "gauge: devices known to this instance")                                            \
    X(overflow_packets, "packets counted in __overflow__ because of --max-devices")                \
    X(redis_up, "gauge: 1 while the flusher's last exchange with Redis succeeded")                 \
    X(last_commit_ns, "gauge: how long the last batch took to commit")                             \
    X(cpu_ns, "gauge: CPU time of the flusher's thread, as of the last cut or batch")

/* Writer: main. */
#define STATS_MAIN(X)                                                                              \
    X(connections_refused, "connections closed at once because --max-connections were open")       \
    X(connections_refused_address,                                                                 \
      "connections closed at once because their address had too many")                             \
    X(connections_refused_busy, "connections closed at once because a worker did not take them")   \
    X(connections_refused_memory, "connections closed at once for want of memory")                 \
    X(memory_pressure, "gauge: 0, 1 when memory is tight, 2 when --memory-limit-bytes is reached") \
    X(connections_limit, "gauge: --max-connections, or what the process's descriptors allow")      \
    X(memory_limit_bytes, "gauge: --memory-limit-bytes")                                           \
    X(reloads, "times the configuration was read again, and taken")                                \
    X(reloads_failed, "times it was not taken, and the old one stayed")

/* Writer: the flusher. Each has its bounds, stats_<name>_bounds. */
#define STATS_FLUSHER_HISTOGRAMS(X)                                                                \
    X(commit_ns, "how long a batch took, from when the ledger got it to its confirmation")         \
    X(batch_devices, "counts that a committed batch carried")

#define STATS_FIELD(name, help)     _Atomic uint64_t name;
#define STATS_HISTOGRAM(name, help) struct histogram name;
#define STATS_BOUNDS(name, help)    extern const struct histogram_bounds stats_##name##_bounds;

struct stats_worker {
    STATS_WORKER(STATS_FIELD)
} CACHE_ALIGNED;

struct stats_main {
    STATS_MAIN(STATS_FIELD)
} CACHE_ALIGNED;

struct stats_flusher {
    STATS_FLUSHER(STATS_FIELD)
    STATS_FLUSHER_HISTOGRAMS(STATS_HISTOGRAM)
} CACHE_ALIGNED;

STATS_FLUSHER_HISTOGRAMS(STATS_BOUNDS)

#define STATS_VALUE(name, help) uint64_t name;

/* What a worker's statistics were when they were read, or the sums of several. */
struct stats_worker_values {
    STATS_WORKER(STATS_VALUE)
};

/* Reads a worker's statistics, and adds one's values to a sum. Called by: any thread. */
struct stats_worker_values stats_worker_read(const struct stats_worker *stats);
void stats_worker_sum(struct stats_worker_values *sum, const struct stats_worker_values *values);

/* Adds to, sets, or reads a counter. Add and set: its one writer; get: any thread. */
#define stats_add(counter, n)                                                                      \
    atomic_store_explicit((counter), atomic_load_explicit((counter), memory_order_relaxed) + (n),  \
                          memory_order_relaxed)
#define stats_set(counter, n) atomic_store_explicit((counter), (n), memory_order_relaxed)
#define stats_get(counter)    atomic_load_explicit((counter), memory_order_relaxed)

/* Counts an end of what two counters tell the beginnings and the ends of. Release: whoever sees it,
 * by stats_open_now(), sees its beginning, too. Called by: its one writer. */
static inline void stats_count_end(_Atomic uint64_t *ended)
{
    atomic_store_explicit(ended, stats_get(ended) + 1, memory_order_release);
}

/* How many have begun and not ended. What begins or ends meanwhile may count as open, and nothing
 * that is open is missed: the ends are read first. Called by: any thread. */
static inline uint64_t stats_open_now(const _Atomic uint64_t *begun, const _Atomic uint64_t *ended)
{
    uint64_t before = atomic_load_explicit(ended, memory_order_acquire);

    return stats_get(begun) - before;
}

#endif
