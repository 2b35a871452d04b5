/* See device.h. The answers are written by json.h, since a device id may hold NULs, which no C
 * string of a JSON tree can. */
#include "http/device.h"

#include "http/count_source.h"
#include "http/device_path.h"
#include "http/http.h"
#include "http/json.h"
#include "http/reply.h"
#include "http/request.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define PREFIX "/devices/"

/* Sends `start`, the id as a JSON string, `middle`, and `count` unless that is NULL. */
static int reply_device(struct request *request, int status, const char *start, const uint8_t *id,
                        size_t length, const int64_t *count)
{
    size_t size = strlen(start) + JSON_STRING_BYTES(length) + 64;
    char *text = malloc(size);
    struct json_writer writer;

    if (!text)
        return reply_error(request, 503, "memory is short");
    json_start(&writer, text, size, NULL, NULL);
    json_raw(&writer, start, strlen(start));
    json_literal(&writer, "\"device_id\":");
    json_string(&writer, id, length);
    if (count) {
        json_literal(&writer, ",\"count\":");
        json_integer(&writer, *count);
    }
    json_literal(&writer, "}");
    reply_body(request, status, "", text, writer.used);
    free(text);
    return status;
}

static int serve_id(struct request *request, const uint8_t *id, size_t length)
{
    char error[COUNT_SOURCE_ERROR_BYTES];
    int64_t count;

    switch (count_source_get(request->source, id, length, &count, error)) {
    case COUNT_SOURCE_OK:
        return reply_device(request, 200, "{", id, length, &count);
    case COUNT_SOURCE_NONE:
        return reply_device(request, 404, "{\"error\":\"no such device\",", id, length, NULL);
    case COUNT_SOURCE_WRONG:
        return reply_error(request, 500, "%s", error);
    case COUNT_SOURCE_UNAVAILABLE:
        break;
    }
    return reply_error(request, 503, "%s", error);
}

int device_serve(struct request *request)
{
    const char *text = request->path + strlen(PREFIX);
    uint8_t *id = malloc(strlen(text) + 1);
    enum device_path_result result;
    size_t length;
    int status;

    if (!id)
        return reply_error(request, 503, "memory is short");
    result = device_path_decode(text, request->shared->options->max_device_id_bytes, id, &length);
    if (result == DEVICE_PATH_OK)
        status = serve_id(request, id, length);
    else
        status = reply_error(request, 400, "%s", device_path_text(result));
    free(id);
    return status;
}
