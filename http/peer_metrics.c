/* See peer_metrics.h. What is counted by reason has one family with a label, whose sum is the
 * whole: nothing is in two of its samples. */
#include "http/peer_metrics.h"

#include "common/stats.h"
#include "common/tls.h"
#include "http/exposition.h"
#include "http/http.h"

static void write_connections(struct exposition *e, const struct stats_worker_values *sum,
                              const struct stats_main *main)
{
    exposition_gauge(e, "tallyd_connections",
                     exposition_less(sum->connections_opened, sum->connections_closed),
                     "Open gRPC connections.");
    exposition_gauge(e, "tallyd_connections_limit", stats_get(&main->connections_limit),
                     "gRPC connections that may be open: --max-connections, or what the process's "
                     "descriptors allow.");
    exposition_counter(e, "tallyd_connections_opened", sum->connections_opened,
                       "gRPC connections taken.");
    exposition_family(e, "tallyd_connections_refused", EXPOSITION_COUNTER,
                      "gRPC connections closed at once: too many were open, or too many of their "
                      "address, or the worker did not keep up, or memory was short.");
    exposition_labelled(e, "reason", "full", stats_get(&main->connections_refused));
    exposition_labelled(e, "reason", "address", stats_get(&main->connections_refused_address));
    exposition_labelled(e, "reason", "busy", stats_get(&main->connections_refused_busy));
    exposition_labelled(e, "reason", "memory", stats_get(&main->connections_refused_memory));
    exposition_counter(
        e, "tallyd_turns_costly", sum->turns_costly,
        "Turns of connections of which little was received, because of what it costs.");
    exposition_counter(e, "tallyd_connections_aged", sum->connections_aged,
                       "gRPC connections told to come again because of their age.");
}

/* The reasons are counted beside their sum, and each may be read a little later than it. */
static void write_bad_peers(struct exposition *e, const struct stats_worker_values *sum)
{
    exposition_family(e, "tallyd_bad_peers", EXPOSITION_COUNTER,
                      "gRPC connections closed because of what the peer did.");
#define REASON(name, help) exposition_labelled(e, "reason", &#name[sizeof "bad_peer"], sum->name);
    STATS_BAD_PEERS(REASON)
#undef REASON
}

static void write_streams(struct exposition *e, const struct stats_worker_values *sum)
{
    uint64_t unclosed = exposition_less(sum->streams_opened, sum->streams_closed);

    exposition_family(e, "tallyd_streams", EXPOSITION_GAUGE,
                      "Streams there are: those that wait have ended and wait until what they sent "
                      "is committed, the others are open.");
    exposition_labelled(e, "state", "open", exposition_less(unclosed, sum->streams_waiting));
    exposition_labelled(e, "state", "waiting", sum->streams_waiting);
    exposition_counter(e, "tallyd_streams_opened", sum->streams_opened, "Streams begun.");
    exposition_family(e, "tallyd_streams_finished", EXPOSITION_COUNTER,
                      "Streams that the server ended: acknowledged, failed by what was wrong or by "
                      "a shutdown, or refused before anything of theirs was counted.");
    exposition_labelled(e, "outcome", "acknowledged", sum->streams_acknowledged);
    exposition_labelled(e, "outcome", "failed", sum->streams_failed);
    exposition_labelled(e, "outcome", "refused", sum->streams_refused);
    exposition_gauge(e, "tallyd_acks_waiting", sum->streams_waiting,
                     "Answers that wait until what their streams sent is committed.");
}

static void write_refusals(struct exposition *e, const struct stats_worker_values *sum)
{
    uint64_t named = sum->streams_unauthenticated + sum->streams_denied + sum->streams_overload;

    exposition_family(e, "tallyd_streams_refused", EXPOSITION_COUNTER,
                      "Streams refused before anything of theirs was counted, by why: without a "
                      "known token, with one that lacks the right, for want of room, or else "
                      "(Redis is away, or tallyd stops).");
    exposition_labelled(e, "reason", "unauthenticated", sum->streams_unauthenticated);
    exposition_labelled(e, "reason", "denied", sum->streams_denied);
    exposition_labelled(e, "reason", "overload", sum->streams_overload);
    exposition_labelled(e, "reason", "other", exposition_less(sum->streams_refused, named));
    exposition_counter(e, "tallyd_streams_expired", sum->streams_expired,
                       "Streams that reached the deadline of their grpc-timeout.");
    exposition_counter(e, "tallyd_streams_not_allowed", sum->streams_not_allowed,
                       "Streams ended by a device_id that their token does not cover.");
    exposition_counter(e, "tallyd_service_calls_opened", sum->service_calls_opened,
                       "Calls of the health and reflection services.");
    exposition_gauge(e, "tallyd_service_calls",
                     exposition_less(sum->service_calls_opened, sum->service_calls_closed),
                     "Those of them that are open.");
}

static void write_main(struct exposition *e, const struct http_options *options)
{
    const struct stats_main *main = options->main;

    exposition_gauge(e, "tallyd_memory_pressure", stats_get(&main->memory_pressure),
                     "0 while memory is not short, 1 while senders are slowed, 2 while new streams "
                     "and devices are refused.");
    exposition_gauge(e, "tallyd_memory_limit_bytes", stats_get(&main->memory_limit_bytes),
                     "Resident memory that the process may take: --memory-limit-bytes; 0: any.");
    exposition_family(e, "tallyd_reloads", EXPOSITION_COUNTER,
                      "Times that the configuration was read again: it was taken, or the old one "
                      "stayed.");
    exposition_labelled(e, "result", "taken", stats_get(&main->reloads));
    exposition_labelled(e, "result", "failed", stats_get(&main->reloads_failed));
    exposition_gauge(
        e, "tallyd_tls_certificate_expiry_seconds", options->tls ? tls_expiry_s(options->tls) : 0,
        "When the certificate in force expires, in seconds since 1970; 0 without TLS.");
}

void peer_metrics_write(struct exposition *e, const struct http_options *options,
                        const struct stats_worker_values *sum)
{
    write_connections(e, sum, options->main);
    write_bad_peers(e, sum);
    write_streams(e, sum);
    write_refusals(e, sum);
    write_main(e, options);
}
