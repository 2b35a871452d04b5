/*
 * civetweb can send headers by itself, but it sends each line by its own write(2), and it refuses
 * to in its error callback. So the whole head is made here, and a small answer goes out with it
 * in one piece.
 */
#include "http/reply.h"

#include "common/utf8.h"
#include "http/json.h"
#include "http/request.h"

#include <civetweb.h>
#include <cjson/cJSON.h>
#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define HEAD_BYTES    1024
#define MESSAGE_BYTES 1024

/* Prevents that a half-sent answer is followed by another one. */
static void give_up(struct request *request)
{
    request->keep_alive = false;
    mg_disable_connection_keep_alive(request->connection);
}

/* Writes all bytes; 0, or -EPIPE when the client is gone or too slow, or the server stops. */
static int send_bytes(struct request *request, const char *bytes, size_t length)
{
    if (mg_write(request->connection, bytes, length) == (int)length)
        return 0;
    give_up(request);
    return -EPIPE;
}

/* Renders the head of an answer; `framing` is the header line that says where the body ends, and
 * `headers` are more lines. Returns its length. */
static size_t render_head(const struct request *request, int status, const char *framing,
                          const char *headers, char out[HEAD_BYTES])
{
    time_t now = time(NULL);
    struct tm utc;
    char date[40];
    int length;

    gmtime_r(&now, &utc);
    strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", &utc);
    length = snprintf(out, HEAD_BYTES,
                      "HTTP/1.1 %d %s\r\n"
                      "Date: %s\r\n"
                      "Content-Type: application/json\r\n"
                      "Cache-Control: no-store\r\n"
                      "Connection: %s\r\n"
                      "%s%s\r\n",
                      status, mg_get_response_code_text(request->connection, status), date,
                      request->keep_alive ? "keep-alive" : "close", framing, headers);
    return length < HEAD_BYTES ? (size_t)length : HEAD_BYTES - 1;
}

int reply_body(struct request *request, int status, const char *headers, const char *body,
               size_t length)
{
    char head[HEAD_BYTES + 4096], framing[64];
    size_t used;

    snprintf(framing, sizeof framing, "Content-Length: %zu\r\n", length);
    used = render_head(request, status, framing, headers, head);
    if (!request->head && length <= sizeof head - used) {
        memcpy(head + used, body, length);
        send_bytes(request, head, used + length);
    } else if (send_bytes(request, head, used) == 0 && !request->head) {
        send_bytes(request, body, length);
    }
    return status;
}

int reply_json(struct request *request, int status, const char *headers, struct cJSON *json)
{
    static const char no_memory[] = "{\"error\":\"memory is short\"}";
    char *text = json ? cJSON_PrintUnformatted(json) : NULL;

    if (text)
        reply_body(request, status, headers, text, strlen(text));
    else
        status = reply_body(request, 503, "", no_memory, sizeof no_memory - 1);
    cJSON_free(text);
    cJSON_Delete(json);
    return status;
}

/* A message may quote bytes of a client, or be cut inside a character. */
static void make_utf8(char *message)
{
    if (utf8_is_valid((const uint8_t *)message, strlen(message)))
        return;
    for (char *c = message; *c; c++)
        if ((unsigned char)*c >= 0x80)
            *c = '?';
}

int reply_error(struct request *request, int status, const char *format, ...)
{
    char message[MESSAGE_BYTES], text[JSON_STRING_BYTES(MESSAGE_BYTES) + 16];
    struct json_writer writer;
    va_list args;

    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    make_utf8(message);

    json_start(&writer, text, sizeof text, NULL, NULL);
    json_literal(&writer, "{\"error\":");
    json_string(&writer, message, strlen(message));
    json_literal(&writer, "}");
    return reply_body(request, status, "", writer.buffer, writer.used);
}

static int send_piece(void *target, const char *bytes, size_t length)
{
    struct request *request = target;

    if (request->head)
        return 0;
    if (request->http10)
        return send_bytes(request, bytes, length);
    if (mg_send_chunk(request->connection, bytes, (unsigned)length) > 0)
        return 0;
    give_up(request);
    return -EPIPE;
}

void reply_stream_start(struct request *request, struct json_writer *writer, char *buffer,
                        size_t size)
{
    char head[HEAD_BYTES];
    const char *framing = request->http10 ? "" : "Transfer-Encoding: chunked\r\n";

    json_start(writer, buffer, size, send_piece, request);
    writer->error = send_bytes(request, head, render_head(request, 200, framing, "", head));
}

int reply_stream_end(struct request *request, struct json_writer *writer)
{
    if (json_finish(writer) == 0 && !request->head && !request->http10)
        send_bytes(request, "0\r\n\r\n", 5);
    return 200;
}
