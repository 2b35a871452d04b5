/*
 * Answers to requests, all of them JSON. Each function sends one answer and returns its HTTP
 * status, which handlers return in turn. When the client is gone there is nobody to tell, so a
 * failed send is no error: the connection is closed. Called by: http.
 */
#ifndef TALLYD_HTTP_REPLY_H
#define TALLYD_HTTP_REPLY_H

#include "common/compiler.h"

#include <stddef.h>

struct cJSON;
struct json_writer;
struct request;

/* Sends a finished body of `length` bytes. `headers` are whole header lines, each with its CRLF,
 * or "". */
int reply_body(struct request *request, int status, const char *headers, const char *body,
               size_t length);

/* Sends `json` and frees it; NULL stands for a tree for which memory was short. */
int reply_json(struct request *request, int status, const char *headers, struct cJSON *json);

/* Sends {"error": message}. */
int reply_error(struct request *request, int status, const char *format, ...) PRINTF_LIKE(3, 4);

/* Starts an answer of unknown length with status 200, and makes `writer` one that sends what is
 * written to it in pieces of `size` bytes from `buffer`. Once the client is gone, json_error() is
 * not 0. Every start is followed by reply_stream_end(). */
void reply_stream_start(struct request *request, struct json_writer *writer, char *buffer,
                        size_t size);

/* Ends that answer. Returns 200. */
int reply_stream_end(struct request *request, struct json_writer *writer);

#endif
