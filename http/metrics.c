/*
 * The array is written straight from the shared snapshot, one piece at a time; its size does not
 * matter to the memory that a request takes. The piece is on the heap, since Debian builds
 * civetweb to give its threads 100 KiB of stack.
 */
#include "http/metrics.h"

#include "http/json.h"
#include "http/reader.h"
#include "http/reply.h"
#include "http/request.h"
#include "http/snapshot.h"

#include <stddef.h>
#include <stdlib.h>

#define PIECE_BYTES (64 * 1024)

static void write_device(struct json_writer *writer, const struct snapshot_device *device)
{
    json_literal(writer, "{\"device_id\":");
    json_string(writer, device->id, device->id_length);
    json_literal(writer, ",\"count\":");
    json_integer(writer, device->count);
    json_literal(writer, "}");
}

static int stream_snapshot(struct request *request, const struct snapshot *snapshot)
{
    char *piece = malloc(PIECE_BYTES);
    struct json_writer writer;
    int status;

    if (!piece)
        return reply_error(request, 503, "memory is short");
    reply_stream_start(request, &writer, piece, PIECE_BYTES);
    json_literal(&writer, "[");
    for (size_t i = 0; i < snapshot_length(snapshot) && !json_error(&writer); i++) {
        struct snapshot_device device = snapshot_get(snapshot, i);

        if (i)
            json_literal(&writer, ",\n");
        write_device(&writer, &device);
    }
    json_literal(&writer, "]\n");
    status = reply_stream_end(request, &writer);
    free(piece);
    return status;
}

int metrics_serve(struct request *request)
{
    struct reading *reading = reader_acquire(request->shared->reader);
    int status;

    if (!reading)
        return reply_error(request, 503, "tallyd is stopping, or memory is short");
    if (reading_result(reading) == COUNT_SOURCE_OK)
        status = stream_snapshot(request, reading_snapshot(reading));
    else
        status = reply_error(request, reading_result(reading) == COUNT_SOURCE_WRONG ? 500 : 503,
                             "%s", reading_error(reading));
    reader_release(request->shared->reader, reading);
    return status;
}
