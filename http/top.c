/*
 * A rate is what a device gained between the last two snapshots, divided by the time between them.
 * A device that was deleted from Redis and came again may have lost instead: that counts as 0.
 */
#include "http/top.h"

#include "http/freshness.h"
#include "http/json.h"
#include "http/query.h"
#include "http/reader.h"
#include "http/reply.h"
#include "http/request.h"
#include "http/snapshot.h"

_Static_assert(TOP_MAX <= SNAPSHOT_FASTEST, "a snapshot knows the fastest devices only");

const char *top_name(enum top_order order)
{
    return order == TOP_BY_COUNT ? "by_count" : "by_rate";
}

size_t top_length(const struct snapshot *snapshot, enum top_order order, size_t most)
{
    size_t length =
        order == TOP_BY_COUNT ? snapshot_length(snapshot) : snapshot_fastest_length(snapshot);

    return length < most ? length : most;
}

void top_write_device(struct text_writer *writer, const struct snapshot *snapshot,
                      enum top_order order, size_t rank, uint64_t gained_ms)
{
    size_t index = order == TOP_BY_COUNT ? snapshot_by_count(snapshot, rank)
                                         : snapshot_fastest(snapshot, rank);
    struct snapshot_device device = snapshot_get(snapshot, index);

    text_literal(writer, "\"device_id\":");
    json_string(writer, device.id, device.id_length);
    text_literal(writer, ",\"count\":");
    text_integer(writer, device.count);
    if (!gained_ms)
        text_literal(writer, ",\"rate\":null");
    else if (device.gained <= 0)
        text_literal(writer, ",\"rate\":0.0");
    else
        text_format(writer, ",\"rate\":%.1f", (double)device.gained * 1000 / (double)gained_ms);
}

void top_write_window(struct text_writer *writer, uint64_t gained_ms)
{
    text_literal(writer, "\"rate_window_ms\":");
    if (gained_ms)
        text_unsigned(writer, gained_ms);
    else
        text_literal(writer, "null");
}

static void write_list(struct text_writer *writer, const struct reading *reading,
                       enum top_order order, size_t most)
{
    const struct snapshot *snapshot = reading_snapshot(reading);
    size_t length = top_length(snapshot, order, most);

    text_format(writer, "\"%s\":[", top_name(order));
    for (size_t rank = 0; rank < length && !text_error(writer); rank++) {
        if (rank)
            text_literal(writer, ",\n");
        text_literal(writer, "{");
        top_write_device(writer, snapshot, order, rank, reading_gained_ms(reading));
        text_literal(writer, "}");
    }
    text_literal(writer, "],");
}

static int reply_top(struct request *request, const struct reader_answer *answer, size_t most)
{
    struct text_writer *writer;

    freshness_headers(request, answer->reading, answer->stale);
    writer = reply_stream_start(request, REPLY_JSON);
    if (!writer)
        return 503;
    text_literal(writer, "{");
    write_list(writer, answer->reading, TOP_BY_COUNT, most);
    write_list(writer, answer->reading, TOP_BY_RATE, most);
    top_write_window(writer, reading_gained_ms(answer->reading));
    text_literal(writer, ",");
    freshness_members(writer, answer);
    text_literal(writer, "}\n");
    return reply_stream_end(request, writer);
}

int top_serve(struct request *request)
{
    struct reader *reader = request->shared->reader;
    struct reader_answer answer;
    struct query_error error;
    uint64_t most = TOP_DEFAULT;
    int status;

    if (query_number(&request->query, "n", 1, TOP_MAX, &most, &error))
        return reply_bad_parameter(request, &error);
    reader_acquire(reader, &answer);
    if (answer.result != COUNT_SOURCE_OK)
        return freshness_refuse(request, &answer);
    status = reply_top(request, &answer, (size_t)most);
    reading_release(answer.reading);
    return status;
}
