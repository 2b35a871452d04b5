/*
 * Devices and total are what Redis holds, of all instances; the rates are what this instance
 * receives. Both are cheap, so that a thousand clients may ask at once: the snapshot has its sums,
 * and the rates are there.
 */
#include "http/summary.h"

#include "http/freshness.h"
#include "http/http.h"
#include "http/json.h"
#include "http/rates.h"
#include "http/reader.h"
#include "http/reply.h"
#include "http/request.h"
#include "http/snapshot.h"

#include <string.h>

void summary_write(struct text_writer *writer, const struct http_shared *shared,
                   const struct reader_answer *answer)
{
    const char *instance = shared->options->instance;

    text_literal(writer, "\"instance\":");
    json_string(writer, instance, strlen(instance));
    if (answer->result == COUNT_SOURCE_OK) {
        const struct snapshot *snapshot = reading_snapshot(answer->reading);

        text_literal(writer, ",\"devices\":");
        text_unsigned(writer, snapshot_length(snapshot));
        text_literal(writer, ",\"total\":");
        text_integer(writer, snapshot_total(snapshot));
    } else {
        text_literal(writer, ",\"devices\":null,\"total\":null");
    }
    text_format(writer, ",\"rates\":{\"1s\":%.1f,\"10s\":%.1f,\"1m\":%.1f},",
                rates_over(shared->rates, RATES_1_S), rates_over(shared->rates, RATES_10_S),
                rates_over(shared->rates, RATES_1_MIN));
    freshness_members(writer, answer);
}

static int reply_summary(struct request *request, const struct reader_answer *answer)
{
    struct text_writer *writer;

    freshness_headers(request, answer->reading, answer->stale);
    writer = reply_stream_start(request, REPLY_JSON);
    if (!writer)
        return 503;
    text_literal(writer, "{");
    summary_write(writer, request->shared, answer);
    text_literal(writer, "}\n");
    return reply_stream_end(request, writer);
}

int summary_serve(struct request *request)
{
    struct reader *reader = request->shared->reader;
    struct reader_answer answer;
    int status;

    reader_acquire(reader, &answer);
    if (answer.result != COUNT_SOURCE_OK)
        return freshness_refuse(request, &answer);
    status = reply_summary(request, &answer);
    reading_release(answer.reading);
    return status;
}
