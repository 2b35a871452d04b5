/*
 * civetweb can send headers by itself, but it sends each line by its own write(2), and it refuses
 * to in its error callback. So the whole head is made here, and a small answer goes out with it
 * in one piece.
 *
 * What a handler writes runs through three stages, each a text_flush of the one before: the
 * writer's buffer, gzip where the client takes it, and the chunks. Nothing is sent before the
 * first buffer is full; what fits into one becomes an answer of known length.
 */
#include "http/reply.h"

#include "common/clock.h"
#include "common/utf8.h"
#include "http/assets.h"
#include "http/date.h"
#include "http/gzip.h"
#include "http/json.h"
#include "http/query.h"
#include "http/request.h"

#include <civetweb.h>
#include <cjson/cJSON.h>
#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEAD_BYTES       (512 + REQUEST_HEADERS_BYTES)
#define MESSAGE_BYTES    1024
#define PIECE_BYTES      (64 * 1024)
#define CHUNK_BYTES      16   /* of a chunk's own head */
#define ABOUT_BODY_BYTES 160  /* a content type, and a length or an encoding */
#define GZIP_MIN         1024 /* smaller bodies fit into one packet anyway */

/* ---- Heads ---------------------------------------------------------------------------------- */

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

void reply_header(struct request *request, const char *format, ...)
{
    char *line = request->headers + request->headers_used;
    size_t room = sizeof request->headers - request->headers_used;
    va_list args;
    int length;

    va_start(args, format);
    length = vsnprintf(line, room, format, args);
    va_end(args);
    if (length >= 0 && (size_t)length + 3 <= room) {
        memcpy(line + length, "\r\n", 3);
        request->headers_used += (size_t)length + 2;
    } else {
        *line = '\0';
    }
}

/* For bodies that may be compressed, unless the handler has said already what they vary by. */
static void vary_by_encoding(struct request *request)
{
    if (!strstr(request->headers, "Vary:"))
        reply_header(request, "Vary: Accept-Encoding");
}

/* Renders the head of an answer; `about_body` are the header lines that say what the body is and
 * where it ends, each with its CRLF, or "". Returns its length. */
static size_t render_head(const struct request *request, int status, const char *about_body,
                          char out[HEAD_BYTES])
{
    bool cached = strstr(request->headers, "Cache-Control:") != NULL;
    char date[DATE_HTTP_BYTES];
    int length;

    length = snprintf(out, HEAD_BYTES,
                      "HTTP/1.1 %d %s\r\n"
                      "Date: %s\r\n"
                      "X-Content-Type-Options: nosniff\r\n"
                      "%s"
                      "Connection: %s\r\n"
                      "%s%s\r\n",
                      status, mg_get_response_code_text(request->connection, status),
                      date_http(clock_wall_ms(), date), cached ? "" : "Cache-Control: no-store\r\n",
                      request->keep_alive ? "keep-alive" : "close", about_body, request->headers);
    return length < HEAD_BYTES ? (size_t)length : HEAD_BYTES - 1;
}

/* ---- Whole bodies --------------------------------------------------------------------------- */

/* Sends a body in the form that it has. */
static int send_body(struct request *request, int status, const char *content_type,
                     const void *body, size_t length)
{
    char head[HEAD_BYTES + 4096], about_body[ABOUT_BODY_BYTES];
    size_t used;

    snprintf(about_body, sizeof about_body, "Content-Type: %s\r\nContent-Length: %zu\r\n",
             content_type, length);
    used = render_head(request, status, about_body, head);
    if (!request->head && length <= sizeof head - used) {
        memcpy(head + used, body, length);
        send_bytes(request, head, used + length);
    } else if (send_bytes(request, head, used) == 0 && !request->head) {
        send_bytes(request, body, length);
    }
    return status;
}

/* Gathers what gzip makes of a body, into a buffer of the body's own size. */
static int gather(void *target, const char *bytes, size_t length)
{
    struct text_writer *gathered = target;

    text_raw(gathered, bytes, length);
    return text_error(gathered);
}

/* Sends it compressed. False when that did not make it smaller, or memory is short. */
static bool send_compressed(struct request *request, int status, const char *content_type,
                            const char *body, size_t length)
{
    struct text_writer gathered;
    struct gzip *gzip = gzip_create(gather, &gathered);
    char *buffer = malloc(length);
    bool done;

    if (buffer)
        text_start(&gathered, buffer, length, NULL, NULL);
    done = gzip && buffer && gzip_write(gzip, body, length, true) == 0;
    if (done) {
        reply_header(request, "Content-Encoding: gzip");
        send_body(request, status, content_type, buffer, gathered.used);
    }
    gzip_destroy(gzip);
    free(buffer);
    return done;
}

int reply_body(struct request *request, int status, const char *content_type, const char *body,
               size_t length)
{
    if (length >= GZIP_MIN) {
        vary_by_encoding(request);
        if (request->gzip && send_compressed(request, status, content_type, body, length))
            return status;
    }
    return send_body(request, status, content_type, body, length);
}

int reply_json(struct request *request, int status, struct cJSON *json)
{
    char *text = json ? cJSON_PrintUnformatted(json) : NULL;

    if (text)
        reply_body(request, status, REPLY_JSON, text, strlen(text));
    else
        status = reply_problem(request, 503, "memory is short");
    cJSON_free(text);
    cJSON_Delete(json);
    return status;
}

int reply_asset(struct request *request, const struct asset *asset)
{
    void *whole;

    reply_header(request, "Cache-Control: no-cache");
    vary_by_encoding(request);
    if (asset->headers[0]) /* without the last CRLF, which reply_header() adds */
        reply_header(request, "%.*s", (int)strlen(asset->headers) - 2, asset->headers);
    if (reply_not_modified(request, asset->tag))
        return 304;
    if (request->gzip) {
        reply_header(request, "Content-Encoding: gzip");
        return send_body(request, 200, asset->content_type, asset->gzip, asset->gzip_bytes);
    }
    whole = gzip_expand(asset->gzip, asset->gzip_bytes, asset->bytes);
    if (!whole)
        return reply_problem(request, 503, "memory is short");
    send_body(request, 200, asset->content_type, whole, asset->bytes);
    free(whole);
    return 200;
}

/* Whether a header of entity tags, `W/"a", "b"`, names `tag` (weak comparison, RFC 9110, 8.8.3.2).
 */
static bool names_tag(const char *header, const char *tag)
{
    size_t length = strlen(tag);

    while (*header) {
        header += strspn(header, " \t,");
        if (*header == '*')
            return true;
        header += 2 * !strncmp(header, "W/", 2);
        if (*header++ != '"')
            return false;
        if (!strncmp(header, tag, length) && header[length] == '"')
            return true;
        header += strcspn(header, "\"");
        header += *header == '"';
    }
    return false;
}

bool reply_not_modified(struct request *request, const char *tag)
{
    const char *have = mg_get_header(request->connection, "If-None-Match");
    char head[HEAD_BYTES];

    reply_header(request, "ETag: W/\"%s\"", tag);
    if (!have || !names_tag(have, tag))
        return false;
    send_bytes(request, head, render_head(request, 304, "", head));
    return true;
}

/* ---- Problems ------------------------------------------------------------------------------- */

/* A message may quote bytes of a client, or be cut inside a character. */
static void make_utf8(char *message)
{
    if (utf8_is_valid((const uint8_t *)message, strlen(message)))
        return;
    for (char *c = message; *c; c++)
        if ((unsigned char)*c >= 0x80)
            *c = '?';
}

static void write_member(struct text_writer *writer, const char *name, const char *value)
{
    text_format(writer, ",\"%s\":", name);
    json_string(writer, value, strlen(value));
}

static int send_problem(struct request *request, int status, char *parameter, char *detail)
{
    char text[2 * JSON_STRING_BYTES(MESSAGE_BYTES)];
    struct text_writer writer;

    make_utf8(detail);
    text_start(&writer, text, sizeof text, NULL, NULL);
    text_literal(&writer, "{\"type\":\"about:blank\"");
    write_member(&writer, "title", mg_get_response_code_text(request->connection, status));
    text_format(&writer, ",\"status\":%d", status);
    write_member(&writer, "detail", detail);
    if (parameter) {
        make_utf8(parameter);
        write_member(&writer, "parameter", parameter);
    }
    text_literal(&writer, "}\n");
    return send_body(request, status, REPLY_PROBLEM, text, writer.used);
}

int reply_problem(struct request *request, int status, const char *format, ...)
{
    char detail[MESSAGE_BYTES];
    va_list args;

    va_start(args, format);
    vsnprintf(detail, sizeof detail, format, args);
    va_end(args);
    return send_problem(request, status, NULL, detail);
}

int reply_bad_parameter(struct request *request, const struct query_error *error)
{
    struct query_error copy = *error;
    char detail[MESSAGE_BYTES];

    snprintf(detail, sizeof detail, "parameter \"%s\": %s", copy.parameter, copy.text);
    return send_problem(request, 400, copy.parameter, detail);
}

/* ---- Streams -------------------------------------------------------------------------------- */

struct stream {
    struct text_writer writer; /* the first member: what the handler holds */
    struct request *request;
    const char *content_type;
    struct gzip *gzip; /* NULL: the body goes out as it is */
    bool started;      /* the head is sent */
    char piece[PIECE_BYTES];
};

/* Sends bytes as one chunk, or as they are to a client that knows no chunks. */
static int send_chunk(void *target, const char *bytes, size_t length)
{
    struct stream *stream = target;
    char head[CHUNK_BYTES];
    int head_bytes;

    if (stream->request->http10)
        return send_bytes(stream->request, bytes, length);
    head_bytes = snprintf(head, sizeof head, "%zx\r\n", length);
    if (send_bytes(stream->request, head, (size_t)head_bytes) ||
        send_bytes(stream->request, bytes, length) || send_bytes(stream->request, "\r\n", 2))
        return -EPIPE;
    return 0;
}

/* Sends the head of an answer of unknown length. After that of HEAD nothing more is wanted. */
static int send_stream_head(struct stream *stream)
{
    struct request *request = stream->request;
    char head[HEAD_BYTES], about_body[ABOUT_BODY_BYTES];
    size_t used;

    stream->started = true;
    vary_by_encoding(request);
    if (request->gzip)
        stream->gzip = gzip_create(send_chunk, stream);
    if (stream->gzip)
        reply_header(request, "Content-Encoding: gzip");
    snprintf(about_body, sizeof about_body, "Content-Type: %s\r\n%s", stream->content_type,
             request->http10 ? "" : "Transfer-Encoding: chunked\r\n");
    used = render_head(request, 200, about_body, head);
    if (send_bytes(request, head, used))
        return -EPIPE;
    return request->head ? -ECANCELED : 0;
}

static int send_piece(void *target, const char *bytes, size_t length)
{
    struct stream *stream = target;
    int result = stream->started ? 0 : send_stream_head(stream);

    if (result)
        return result;
    return stream->gzip ? gzip_write(stream->gzip, bytes, length, false)
                        : send_chunk(stream, bytes, length);
}

struct text_writer *reply_stream_start(struct request *request, const char *content_type)
{
    struct stream *stream = malloc(sizeof *stream);

    if (!stream) {
        reply_problem(request, 503, "memory is short");
        return NULL;
    }
    stream->request = request;
    stream->content_type = content_type;
    stream->gzip = NULL;
    stream->started = false;
    text_start(&stream->writer, stream->piece, sizeof stream->piece, send_piece, stream);
    return &stream->writer;
}

int reply_stream_end(struct request *request, struct text_writer *writer)
{
    struct stream *stream = (struct stream *)writer;

    if (!stream->started) {
        reply_body(request, 200, stream->content_type, stream->piece, writer->used);
    } else if (text_finish(writer) == 0 &&
               (!stream->gzip || gzip_write(stream->gzip, "", 0, true) == 0) && !request->http10) {
        send_bytes(request, "0\r\n\r\n", 5);
    }
    gzip_destroy(stream->gzip);
    free(stream);
    return 200;
}

int reply_endless_start(struct request *request, const char *content_type)
{
    char head[HEAD_BYTES], about_body[ABOUT_BODY_BYTES];

    give_up(request); /* nothing can follow it on this connection */
    snprintf(about_body, sizeof about_body, "Content-Type: %s\r\n", content_type);
    if (send_bytes(request, head, render_head(request, 200, about_body, head)))
        return -EPIPE;
    return request->head ? -ECANCELED : 0;
}

int reply_endless_send(struct request *request, const char *bytes, size_t length)
{
    return send_bytes(request, bytes, length);
}
