/*
 * Writes JSON text (RFC 8259) into a buffer of fixed size and hands it on whenever that is full,
 * so that a text of any length needs no tree and no more memory than the buffer.
 *
 * It knows values, not grammar: the caller writes brackets, commas and colons with json_raw().
 * The first error sticks and turns every later call into nothing, so that callers may look only
 * at json_finish(), or at json_error() in long loops. Any thread; one thread a writer.
 */
#ifndef TALLYD_HTTP_JSON_H
#define TALLYD_HTTP_JSON_H

#include "common/compiler.h"

#include <stddef.h>
#include <stdint.h>

/* Takes `length` finished bytes, which are valid during the call only. Returns 0 or a negative
 * errno, which becomes the writer's error. */
typedef int json_flush(void *target, const char *bytes, size_t length);

struct json_writer {
    char *buffer;
    size_t size;
    size_t used;
    json_flush *flush;
    void *target;
    int error;
};

/* The most bytes that json_string() writes for a string of `length` bytes. */
#define JSON_STRING_BYTES(length) (6 * (length) + 2)

/* Starts a text. `buffer` is borrowed until json_finish(). With `flush` NULL the text must fit
 * into the buffer; one that does not gets the error -ENOSPC. */
void json_start(struct json_writer *writer, char *buffer, size_t size, json_flush *flush,
                void *target);

/* Writes bytes as they are. */
void json_raw(struct json_writer *writer, const void *bytes, size_t length);

/* Writes a string literal as it is. */
#define json_literal(writer, literal) json_raw((writer), "" literal, sizeof(literal) - 1)

/* Writes a quoted and escaped string. `bytes` must be valid UTF-8 and may hold NULs. */
void json_string(struct json_writer *writer, const void *bytes, size_t length);

/* Writes an exact decimal number. */
void json_integer(struct json_writer *writer, int64_t value);

/* 0, or the first error as a negative errno. */
int json_error(const struct json_writer *writer);

/* Flushes the rest, if there is a flush function. Returns 0, or the first error. */
int json_finish(struct json_writer *writer) MUST_CHECK;

#endif
