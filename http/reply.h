/*
 * Answers to requests. A function that returns int and does not say what sends one answer and
 * returns its HTTP status, which handlers return in turn. When the client is gone there is nobody
 * to tell, so a failed send is no error: the connection is closed. Bodies of some size are
 * compressed for clients that take gzip. Called by: http.
 */
#ifndef TALLYD_HTTP_REPLY_H
#define TALLYD_HTTP_REPLY_H

#include "common/compiler.h"

#include <stdbool.h>
#include <stddef.h>

struct asset;
struct cJSON;
struct query_error;
struct request;
struct text_writer;

#define REPLY_JSON    "application/json"
#define REPLY_PROBLEM "application/problem+json"

/* Adds a line to the head of the answer to come, given without its CRLF: "Age: 3". The usual lines
 * are there anyway; a "Cache-Control" replaces the usual "no-store", and a
 * "Vary" must name Accept-Encoding, which long bodies vary by. What does not fit into
 * REQUEST_HEADERS_BYTES is left out whole. Bytes of a client in it must be escaped by the caller.
 */
void reply_header(struct request *request, const char *format, ...) PRINTF_LIKE(2, 3);

/* Sends a finished body of `length` bytes. */
int reply_body(struct request *request, int status, const char *content_type, const char *body,
               size_t length);

/* Sends `json` and frees it; NULL stands for a tree for which memory was short. */
int reply_json(struct request *request, int status, struct cJSON *json);

/* Sends an error as problem details (RFC 9457): a type of "about:blank", the status and its title,
 * and the detail that is printed here. */
int reply_problem(struct request *request, int status, const char *format, ...) PRINTF_LIKE(3, 4);

/* Sends 400 for a parameter of the query; the member "parameter" holds its name. */
int reply_bad_parameter(struct request *request, const struct query_error *error);

/* Adds an ETag to the answer to come; `tag` is its text without quotes. It is a weak one, which
 * stands for all encodings of a body. True when the client has that already: then 304 was sent, and
 * the handler returns 304. */
bool reply_not_modified(struct request *request, const char *tag) MUST_CHECK;

/* Sends a file that was built in. */
int reply_asset(struct request *request, const struct asset *asset);

/* Starts an answer of unknown length with status 200. Write to what it returns; once the client is
 * gone, text_error() of it is not 0. NULL when memory was short: then 503 was sent, and the handler
 * returns 503. */
struct text_writer *reply_stream_start(struct request *request,
                                       const char *content_type) MUST_CHECK;

/* Ends that answer and frees the writer. Returns 200. */
int reply_stream_end(struct request *request, struct text_writer *writer);

/* Starts an answer that has no end but that of the connection, with status 200: it is neither cut
 * into chunks nor compressed, so that each piece reaches the client when it is sent. Returns 0, or
 * a negative errno when nothing more is to be sent: -EPIPE when the client is gone, -ECANCELED when
 * it asked by HEAD. */
int reply_endless_start(struct request *request, const char *content_type) MUST_CHECK;

/* Sends a piece of that answer at once. Returns 0, or -EPIPE when the client is gone or too slow,
 * or the server stops. */
int reply_endless_send(struct request *request, const char *bytes, size_t length) MUST_CHECK;

#endif
