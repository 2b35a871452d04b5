/*
 * The count is asked of Redis for each request, so it is exact now. The answers are written by
 * json.h, since a device id may hold NULs, which no C string of a JSON tree can.
 */
#include "http/device.h"

#include "http/device_path.h"
#include "http/freshness.h"
#include "http/http.h"
#include "http/json.h"
#include "http/lookup.h"
#include "http/reader.h"
#include "http/reply.h"
#include "http/request.h"
#include "http/snapshot.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define PREFIX      "/devices/"
#define FRAME_BYTES 160 /* all of an answer but the id */

struct device_id {
    const uint8_t *bytes;
    size_t length;
};

/* Sends `start`, the id as a member of a JSON object, and `count` unless that is NULL. */
static int reply_device(struct request *request, int status, const char *content_type,
                        const char *start, struct device_id id, const int64_t *count)
{
    size_t size = JSON_STRING_BYTES(id.length) + FRAME_BYTES;
    char *text = malloc(size);
    struct text_writer writer;

    if (!text)
        return reply_problem(request, 503, "memory is short");
    text_start(&writer, text, size, NULL, NULL);
    text_raw(&writer, start, strlen(start));
    text_literal(&writer, "\"device_id\":");
    json_string(&writer, id.bytes, id.length);
    if (count) {
        text_literal(&writer, ",\"count\":");
        text_integer(&writer, *count);
    }
    text_literal(&writer, "}\n");
    reply_body(request, status, content_type, text, writer.used);
    free(text);
    return status;
}

static int reply_unknown(struct request *request, struct device_id id)
{
    return reply_device(request, 404, REPLY_PROBLEM,
                        "{\"type\":\"about:blank\",\"title\":\"Not Found\",\"status\":404,"
                        "\"detail\":\"there is no such device\",",
                        id, NULL);
}

static bool find_count(const struct snapshot *snapshot, struct device_id id, int64_t *count)
{
    size_t index = snapshot_lower_bound(snapshot, id.bytes, id.length);
    struct snapshot_device device;

    if (index == snapshot_length(snapshot))
        return false;
    device = snapshot_get(snapshot, index);
    *count = device.count;
    return device.id_length == id.length && !memcmp(device.id, id.bytes, id.length);
}

/* Answers while Redis is away. A device that the last snapshot does not hold may be there by now,
 * so that is no 404; `error` says why it cannot be told. */
static int serve_stale(struct request *request, struct device_id id, const char *error)
{
    struct reader *reader = request->shared->reader;
    struct reader_answer answer;
    int64_t count;
    int status;

    reader_glance(reader, &answer);
    if (answer.result != COUNT_SOURCE_OK)
        return reply_problem(request, 503, "%s", error);
    if (find_count(reading_snapshot(answer.reading), id, &count)) {
        freshness_headers(request, answer.reading, true);
        status = reply_device(request, 200, REPLY_JSON, "{", id, &count);
    } else {
        status = reply_problem(request, 503, "%s", error);
    }
    reading_release(answer.reading);
    return status;
}

static int serve_id(struct request *request, struct device_id id)
{
    char error[ERROR_BYTES];
    int64_t count;

    switch (lookup_device(request->shared->lookup, id.bytes, id.length, &count, error)) {
    case COUNT_SOURCE_OK:
        freshness_headers(request, NULL, false);
        return reply_device(request, 200, REPLY_JSON, "{", id, &count);
    case COUNT_SOURCE_NONE:
        freshness_headers(request, NULL, false);
        return reply_unknown(request, id);
    case COUNT_SOURCE_WRONG:
        return reply_problem(request, 500, "%s", error);
    case COUNT_SOURCE_UNAVAILABLE:
        break;
    }
    return serve_stale(request, id, error);
}

int device_serve(struct request *request)
{
    const char *text = request->path + strlen(PREFIX);
    uint8_t *id = malloc(strlen(text) + 1);
    enum device_path_result result;
    size_t length;
    int status;

    if (!id)
        return reply_problem(request, 503, "memory is short");
    result = device_path_decode(text, request->shared->options->max_device_id_bytes, id, &length);
    if (result == DEVICE_PATH_OK)
        status = serve_id(request, (struct device_id){id, length});
    else
        status = reply_problem(request, 400, "%s", device_path_text(result));
    free(id);
    return status;
}
