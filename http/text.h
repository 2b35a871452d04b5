/*
 * Writes text into a buffer of fixed size and hands it on whenever that is full, so that a text of
 * any length needs no more memory than the buffer.
 *
 * The first error sticks and turns every later call into nothing, so that callers may look only
 * at text_finish(), or at text_error() in long loops. Any thread; one thread a writer.
 */
#ifndef TALLYD_HTTP_TEXT_H
#define TALLYD_HTTP_TEXT_H

#include "common/compiler.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* The most bytes that one text_format() writes. */
#define TEXT_FORMAT_BYTES 512

/* Takes `length` finished bytes, which are valid during the call only. Returns 0 or a negative
 * errno, which becomes the writer's error. */
typedef int text_flush(void *target, const char *bytes, size_t length);

struct text_writer {
    char *buffer;
    size_t size; /* 0 after an error */
    size_t used;
    text_flush *flush;
    void *target;
    int error;
};

/* Starts a text. `buffer` is borrowed until text_finish(). With `flush` NULL the text must fit
 * into the buffer; one that does not gets the error -ENOSPC. */
void text_start(struct text_writer *writer, char *buffer, size_t size, text_flush *flush,
                void *target);

/* text_raw() for what the buffer has no room for, and after an error. */
void text_raw_on(struct text_writer *writer, const void *bytes, size_t length);

/* Writes bytes as they are. It is inlined because most texts are made of a few bytes at a time. */
static inline void text_raw(struct text_writer *writer, const void *bytes, size_t length)
{
    if (length > writer->size - writer->used) {
        text_raw_on(writer, bytes, length);
        return;
    }
    memcpy(writer->buffer + writer->used, bytes, length);
    writer->used += length;
}

/* Writes a string literal as it is. */
#define text_literal(writer, literal) text_raw((writer), "" literal, sizeof(literal) - 1)

/* Writes an exact decimal number. */
void text_integer(struct text_writer *writer, int64_t value);
void text_unsigned(struct text_writer *writer, uint64_t value);

/* Writes as printf() does; what is longer than TEXT_FORMAT_BYTES gets the error -ENOSPC. */
void text_format(struct text_writer *writer, const char *format, ...) PRINTF_LIKE(2, 3);

/* 0, or the first error as a negative errno. */
int text_error(const struct text_writer *writer);

/* Flushes the rest, if there is a flush function. Returns 0, or the first error. */
int text_finish(struct text_writer *writer) MUST_CHECK;

#endif
