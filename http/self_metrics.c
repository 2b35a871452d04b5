/*
 * The metrics in the order that data flows: packets, the peers, the flusher and Redis, the workers,
 * the HTTP face.
 *
 * The balance is read before the workers' statistics. So what has arrived is never less than what
 * the balance says was received, since a worker notes what has arrived before it hands over.
 */
#include "http/self_metrics.h"

#include "aggregator/commits.h"
#include "common/balance.h"
#include "common/compiler.h"
#include "common/stats.h"
#include "http/connection_limiter.h"
#include "http/events.h"
#include "http/exposition.h"
#include "http/http.h"
#include "http/peer_metrics.h"
#include "http/reader.h"
#include "http/request.h"
#include "http/responses.h"
#include "http/tls_proxy.h"
#include "http/token_metrics.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>

#ifdef __clang__
#define COMPILER __VERSION__ /* begins with its name */
#else
#define COMPILER "GCC " __VERSION__
#endif

/* ---- Packets -------------------------------------------------------------------------------- */

static void write_balance(struct exposition *e, const struct balance_values *values)
{
    exposition_counter(
        e, "tallyd_packets_received", values->received,
        "Packets that arrived whole, the rejected ones included, as of the last cut; the sum "
        "of the committed, the pending and the rejected ones.");
    exposition_counter(e, "tallyd_packets_committed", values->committed,
                       "Packets that Redis confirmed, the quarantined ones included.");
    exposition_gauge(e, "tallyd_packets_pending", values->pending,
                     "Packets that left the workers and are not confirmed by Redis yet.");
    exposition_family(e, "tallyd_packets_rejected", EXPOSITION_COUNTER,
                      "Packets that were not counted, because of what was wrong with them.");
#define REJECTED(name, help) exposition_labelled(e, "reason", #name, values->rejected.name);
    BALANCE_REJECTED(REJECTED)
#undef REJECTED
    exposition_counter(e, "tallyd_packets_quarantined", values->quarantined,
                       "Packets whose counts Redis refused, and that are in the quarantine hash.");
}

static void write_packets(struct exposition *e, const struct balance_values *balance,
                          const struct stats_worker_values *sum,
                          const struct stats_flusher *flusher)
{
    write_balance(e, balance);
    exposition_counter(
        e, "tallyd_packets_overflow", stats_get(&flusher->overflow_packets),
        "Packets of devices past --max-devices, or past that of a token, or that came "
        "when memory was short; they are counted together.");
    exposition_counter(e, "tallyd_packets_arrived", sum->packets_arrived,
                       "Packets that arrived whole, the rejected ones included, up to now.");
    exposition_counter(e, "tallyd_received_bytes", sum->bytes_received,
                       "Bytes received on gRPC connections.");
}

/* ---- The flusher and Redis ------------------------------------------------------------------ */

static void write_commits(struct exposition *e, const struct stats_flusher *flusher)
{
    exposition_counter(e, "tallyd_cuts", stats_get(&flusher->cuts), "Cuts made.");
    exposition_counter(e, "tallyd_batches_committed", stats_get(&flusher->batches_committed),
                       "Transactions that Redis confirmed.");
    exposition_counter(
        e, "tallyd_batches_resent", stats_get(&flusher->batches_resent),
        "Transactions sent again after the ledger showed that they were not applied.");
    exposition_counter(e, "tallyd_batches_resent_blind", stats_get(&flusher->batches_resent_blind),
                       "Transactions sent again after Redis had lost the ledger, or gone back.");
    exposition_family(e, "tallyd_unknown_outcomes", EXPOSITION_COUNTER,
                      "Transactions whose answer was lost, by what the ledger told of them.");
    exposition_labelled(e, "resolved", "applied", stats_get(&flusher->outcomes_applied));
    exposition_labelled(e, "resolved", "not_applied", stats_get(&flusher->outcomes_not_applied));
    exposition_family(e, "tallyd_commit_duration_seconds", EXPOSITION_HISTOGRAM,
                      "How long a batch took to commit, all tries included.");
    exposition_histogram(e, &flusher->commit_ns, &stats_commit_ns_bounds, EXPOSITION_NS);
    exposition_family(e, "tallyd_batch_devices", EXPOSITION_HISTOGRAM,
                      "Counts that a committed batch carried.");
    exposition_histogram(e, &flusher->batch_devices, &stats_batch_devices_bounds, 0);
    exposition_family(e, "tallyd_flusher_cpu_seconds", EXPOSITION_COUNTER,
                      "CPU time of the thread that commits.");
    exposition_sample(e, NULL, 0, stats_get(&flusher->cpu_ns), EXPOSITION_NS);
}

static void write_redis(struct exposition *e, const struct stats_flusher *flusher)
{
    uint64_t connects = stats_get(&flusher->redis_connects);

    exposition_gauge(e, "tallyd_redis_up", stats_get(&flusher->redis_up),
                     "1 while the last exchange with Redis succeeded, else 0.");
    exposition_counter(e, "tallyd_redis_connects", connects,
                       "Connections made to Redis to commit.");
    exposition_counter(e, "tallyd_redis_reconnects", exposition_less(connects, 1),
                       "All of them but the first.");
    exposition_counter(e, "tallyd_redis_errors", stats_get(&flusher->redis_errors),
                       "Attempts to connect to Redis, or to commit, that failed.");
    exposition_counter(e, "tallyd_redis_rollbacks", stats_get(&flusher->rollbacks),
                       "Times that Redis had lost something it had confirmed.");
    exposition_counter(e, "tallyd_quarantined_fields", stats_get(&flusher->quarantined_fields),
                       "Counts that Redis refused and that went to the quarantine hash.");
}

static void write_devices(struct exposition *e, const struct http_options *options)
{
    exposition_gauge(e, "tallyd_devices", stats_get(&options->flusher->devices),
                     "Devices that this instance has seen since its start.");
    exposition_gauge(e, "tallyd_devices_limit", options->max_devices,
                     "Devices that get a count of their own: --max-devices.");
}

/* ---- Workers -------------------------------------------------------------------------------- */

/* The label of worker number i. */
#define WORKER_TEXT_BYTES 21

static struct exposition_label worker_label(size_t i, char text[WORKER_TEXT_BYTES])
{
    snprintf(text, WORKER_TEXT_BYTES, "%zu", i);
    return exposition_label("worker", text);
}

/* Writes a family with a sample for each worker: `value` of its statistics. */
static void each_worker(struct exposition *e, const struct http_options *options, const char *name,
                        enum exposition_type type, const char *help,
                        uint64_t (*value)(const struct stats_worker *), unsigned decimals)
{
    char text[WORKER_TEXT_BYTES];

    exposition_family(e, name, type, help);
    for (size_t i = 0; i < options->worker_count; i++) {
        const struct exposition_label label = worker_label(i, text);

        exposition_sample(e, &label, 1, value(options->workers[i]), decimals);
    }
}

static uint64_t worker_counter_bytes(const struct stats_worker *stats)
{
    return stats_get(&stats->counter_bytes);
}

static uint64_t worker_cpu_ns(const struct stats_worker *stats)
{
    return stats_get(&stats->cpu_ns);
}

static uint64_t worker_bytes(const struct stats_worker *stats)
{
    return stats_get(&stats->bytes_received);
}

static uint64_t worker_packets(const struct stats_worker *stats)
{
    return stats_get(&stats->packets_arrived);
}

static uint64_t worker_connections(const struct stats_worker *stats)
{
    return stats_open_now(&stats->connections_opened, &stats->connections_closed);
}

static uint64_t worker_streams(const struct stats_worker *stats)
{
    return stats_open_now(&stats->streams_opened, &stats->streams_closed);
}

static void write_workers(struct exposition *e, const struct http_options *options)
{
    each_worker(e, options, "tallyd_worker_memory_bytes", EXPOSITION_GAUGE,
                "Memory of a worker's counters and their index.", worker_counter_bytes, 0);
    each_worker(e, options, "tallyd_worker_cpu_seconds", EXPOSITION_COUNTER,
                "CPU time of a worker's thread.", worker_cpu_ns, EXPOSITION_NS);
    each_worker(e, options, "tallyd_worker_received_bytes", EXPOSITION_COUNTER,
                "Bytes that a worker received.", worker_bytes, 0);
    each_worker(e, options, "tallyd_worker_packets", EXPOSITION_COUNTER,
                "Packets that arrived whole at a worker.", worker_packets, 0);
    each_worker(e, options, "tallyd_worker_connections", EXPOSITION_GAUGE,
                "Open connections of a worker.", worker_connections, 0);
    each_worker(e, options, "tallyd_worker_streams", EXPOSITION_GAUGE,
                "Streams of a worker, open ones and those that wait.", worker_streams, 0);
}

/* ---- The process and the HTTP face ---------------------------------------------------------- */

static void write_state(struct exposition *e, const struct http_options *options)
{
    bool draining = atomic_load(options->draining);
    bool redis_down = commits_redis_down(options->commits, options->redis_grace_ms);

    exposition_gauge(e, "tallyd_accepting", !draining && !redis_down,
                     "1 while new streams are taken, 0 while they are refused.");
    exposition_gauge(e, "tallyd_draining", draining,
                     "1 from the moment that tallyd is told to stop.");
}

static void write_http(struct exposition *e, const struct http_shared *shared)
{
    const struct connection_limiter_figures figures = connection_limiter_figures(shared->limiter);

    exposition_family(e, "tallyd_http_responses", EXPOSITION_COUNTER,
                      "HTTP answers, by their status.");
    for (size_t i = 0; i < RESPONSES_COUNTS; i++)
        exposition_labelled(e, "code", responses_code(i), responses_count(shared->responses, i));
    exposition_gauge(e, "tallyd_http_connections", figures.connections,
                     "HTTP connections that have a thread.");
    exposition_gauge(e, "tallyd_http_connections_limit", shared->options->connections,
                     "Threads for HTTP connections: --http-connections.");
    exposition_family(e, "tallyd_http_connections_shut", EXPOSITION_COUNTER,
                      "HTTP connections closed: too many of one address, without a request when "
                      "hardly a thread was left, or because the client did not read its answer.");
    exposition_labelled(e, "reason", "address", figures.shut_address);
    exposition_labelled(e, "reason", "crowd", figures.shut_crowd);
    exposition_labelled(e, "reason", "stall", figures.shut_stall);
    exposition_gauge(e, "tallyd_http_event_listeners", events_listeners(shared->events),
                     "Listeners of /events.");
    exposition_family(
        e, "tallyd_http_connections_refused", EXPOSITION_COUNTER,
        "HTTP connections over TLS that were closed before a request: the handshake "
        "failed or took too long, their address had too many, or memory or descriptors "
        "were short.");
    exposition_labelled(e, "reason", "tls",
                        tls_proxy_refused(shared->tls_proxy, PROXY_REFUSED_TLS));
    exposition_labelled(e, "reason", "address",
                        tls_proxy_refused(shared->tls_proxy, PROXY_REFUSED_ADDRESS));
    exposition_labelled(e, "reason", "short",
                        tls_proxy_refused(shared->tls_proxy, PROXY_REFUSED_SHORT));
}

static void write_snapshot(struct exposition *e, struct reader *reader)
{
    struct reader_figures figures = reader_figures(reader);

    exposition_gauge(
        e, "tallyd_snapshot_devices", figures.devices,
        "Devices in the snapshot of Redis that HTTP answers from; 0 when none is kept.");
    exposition_gauge(e, "tallyd_snapshot_bytes", figures.bytes, "Memory that the snapshot takes.");
    exposition_family(e, "tallyd_snapshot_age_seconds", EXPOSITION_GAUGE,
                      "Time since the snapshot was begun to be read; 0 when none is kept.");
    exposition_sample(e, NULL, 0, figures.age_ms, EXPOSITION_MS);
    exposition_counter(e, "tallyd_snapshot_readings", figures.readings,
                       "Readings of all counts from Redis that ended, the failed ones included.");
    exposition_counter(e, "tallyd_snapshot_failures", figures.failures,
                       "Those of them that failed.");
    exposition_family(e, "tallyd_snapshot_duration_seconds", EXPOSITION_GAUGE,
                      "How long the last reading that succeeded took.");
    exposition_sample(e, NULL, 0, figures.duration_ms, EXPOSITION_MS);
}

static void write_information(struct exposition *e, const struct http_options *options)
{
    const struct exposition_label build[] = {exposition_label("version", TALLYD_VERSION),
                                             exposition_label("compiler", COMPILER)};
    const struct exposition_label instance[] = {exposition_label("instance", options->instance),
                                                exposition_label("redis_key", options->redis.key)};

    exposition_family(e, "tallyd_build", EXPOSITION_INFO, "What this program was built from.");
    exposition_sample(e, build, ARRAY_LENGTH(build), 1, 0);
    exposition_family(e, "tallyd_instance", EXPOSITION_INFO, "Which instance this is.");
    exposition_sample(e, instance, ARRAY_LENGTH(instance), 1, 0);
}

void self_metrics_write(struct exposition *exposition, const struct http_shared *shared)
{
    const struct http_options *options = shared->options;
    const struct balance_values balance = balance_read(options->balance);
    struct stats_worker_values sum = {0};

    for (size_t i = 0; i < options->worker_count; i++) {
        const struct stats_worker_values values = stats_worker_read(options->workers[i]);

        stats_worker_sum(&sum, &values);
    }
    write_information(exposition, options);
    write_packets(exposition, &balance, &sum, options->flusher);
    write_devices(exposition, options);
    peer_metrics_write(exposition, options, &sum);
    write_commits(exposition, options->flusher);
    write_redis(exposition, options->flusher);
    write_workers(exposition, options);
    write_state(exposition, options);
    write_snapshot(exposition, shared->reader);
    write_http(exposition, shared);
    token_metrics_write(exposition, options->tokens);
}
