/*
 * The figures come from three places that are not of one instant: the balance, which is as of the
 * last cut; the workers' statistics, which run ahead of it; and the flusher's. The balance is read
 * first, so what has arrived is never less than what it says was received: a worker notes what has
 * arrived before it hands over.
 */
#include "http/pipeline.h"

#include "aggregator/commits.h"
#include "common/balance.h"
#include "common/stats.h"
#include "http/http.h"
#include "http/request.h"
#include "http/text.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct workers {
    uint64_t connections, streams, acks_waiting, received, received_bytes;
};

static struct workers sum_up(const struct http_options *options)
{
    struct workers sum = {0};

    for (size_t i = 0; i < options->worker_count; i++) {
        const struct stats_worker *worker = options->workers[i];

        sum.connections += stats_open_now(&worker->connections_opened, &worker->connections_closed);
        sum.streams += stats_open_now(&worker->streams_opened, &worker->streams_closed);
        sum.acks_waiting += stats_get(&worker->streams_waiting);
        sum.received += stats_get(&worker->packets_arrived);
        sum.received_bytes += stats_get(&worker->bytes_received);
    }
    return sum;
}

static void write_number(struct text_writer *writer, const char *name, uint64_t value)
{
    text_format(writer, "\"%s\":", name);
    text_unsigned(writer, value);
    text_literal(writer, ",");
}

static void write_flag(struct text_writer *writer, const char *name, bool value)
{
    text_format(writer, "\"%s\":%s,", name, value ? "true" : "false");
}

void pipeline_write(struct text_writer *writer, const struct http_shared *shared)
{
    const struct http_options *options = shared->options;
    const struct stats_flusher *flusher = options->flusher;
    struct balance_values cut = balance_read(options->balance);
    struct workers now = sum_up(options);
    bool draining = atomic_load(options->draining);
    bool redis_down = commits_redis_down(options->commits, options->redis_grace_ms);

    text_literal(writer, "{");
    write_number(writer, "connections", now.connections);
    write_number(writer, "streams", now.streams);
    write_number(writer, "acks_waiting", now.acks_waiting);
    write_number(writer, "received", now.received);
    write_number(writer, "received_bytes", now.received_bytes);
    write_number(writer, "rejected", balance_rejected_total(&cut.rejected));
    write_number(writer, "in_workers", now.received - cut.received);
    write_number(writer, "pending", cut.pending);
    write_number(writer, "committed", cut.committed);
    write_number(writer, "devices_known", stats_get(&flusher->devices));
    write_number(writer, "workers", options->worker_count);
    write_flag(writer, "redis_up", stats_get(&flusher->redis_up));
    write_flag(writer, "accepting", !draining && !redis_down);
    write_flag(writer, "draining", draining);
    text_format(writer, "\"commit_ms\":%.1f}", (double)stats_get(&flusher->last_commit_ns) / 1e6);
}
