/*
 * What tallyd tells of itself is there whatever becomes of Redis. The series of single devices are
 * there when they were asked for (--prom-devices) and there is a snapshot to take them from.
 */
#include "http/prometheus.h"

#include "common/compiler.h"
#include "http/accept.h"
#include "http/freshness.h"
#include "http/http.h"
#include "http/process_metrics.h"
#include "http/reader.h"
#include "http/reply.h"
#include "http/request.h"
#include "http/self_metrics.h"
#include "http/snapshot.h"

#include <civetweb.h>

/* Writes the series of the devices with the highest counts. A count below 0 is no counter's value,
 * and none of tallyd's making: it is left out, as are those behind it. */
static void write_devices(struct exposition *exposition, const struct snapshot *snapshot,
                          uint64_t most)
{
    size_t length = snapshot_length(snapshot);

    exposition_family(exposition, "tallyd_device_packets", EXPOSITION_COUNTER,
                      "Packets of a device in Redis, counted by all instances; of the devices with "
                      "the most: --prom-devices.");
    for (size_t rank = 0; rank < length && rank < most; rank++) {
        struct snapshot_device device = snapshot_get(snapshot, snapshot_by_count(snapshot, rank));
        const struct exposition_label label = {"device_id", device.id, device.id_length};

        if (device.count < 0)
            break;
        exposition_sample(exposition, &label, 1, (uint64_t)device.count, 0);
    }
}

/* Writes the answer; `snapshot` NULL: without series of devices. */
static int write_all(struct request *request, enum exposition_dialect dialect,
                     const struct snapshot *snapshot)
{
    struct text_writer *writer = reply_stream_start(request, exposition_content_type(dialect));
    struct exposition exposition;

    if (!writer)
        return 503;
    exposition_start(&exposition, writer, dialect);
    self_metrics_write(&exposition, request->shared);
    process_metrics_write(&exposition);
    if (snapshot)
        write_devices(&exposition, snapshot, request->shared->options->prom_devices);
    exposition_end(&exposition);
    return reply_stream_end(request, writer);
}

int prometheus_serve_as(struct request *request, enum exposition_dialect dialect)
{
    struct reader *reader = request->shared->reader;
    struct reader_answer answer;
    struct query_error error;
    int status;

    if (request->query.count > 0) {
        query_fail(&error, request->query.pairs[0].name,
                   "the forms of Prometheus have no parameters; ask for application/json");
        return reply_bad_parameter(request, &error);
    }
    if (request->shared->options->prom_devices == 0)
        return write_all(request, dialect, NULL);
    reader_acquire(reader, &answer);
    if (answer.result != COUNT_SOURCE_OK)
        return write_all(request, dialect, NULL);
    freshness_headers(request, answer.reading, answer.stale);
    status = write_all(request, dialect, reading_snapshot(answer.reading));
    reading_release(answer.reading);
    return status;
}

int prometheus_serve(struct request *request)
{
    static const struct accept_form forms[] = {
        [EXPOSITION_PROMETHEUS] = {"text/plain", "0.0.4"},
        [EXPOSITION_OPENMETRICS] = {"application/openmetrics-text", "1.0.0"},
    };
    const char *accept = mg_get_header(request->connection, "Accept");

    reply_header(request, "Vary: Accept, Accept-Encoding");
    return prometheus_serve_as(
        request, (enum exposition_dialect)accept_choose(accept, forms, ARRAY_LENGTH(forms)));
}
