/* See text.h. */
#include "http/text.h"

#include "common/decimal.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* NOLINTNEXTLINE(readability-non-const-parameter): written to by and by */
void text_start(struct text_writer *writer, char *buffer, size_t size, text_flush *flush,
                void *target)
{
    *writer =
        (struct text_writer){.buffer = buffer, .size = size, .flush = flush, .target = target};
}

/* Keeps the first error, and leaves no room that text_raw() could write to. */
static void fail(struct text_writer *writer, int error)
{
    if (!writer->error)
        writer->error = error;
    writer->size = 0;
    writer->used = 0;
}

/* Makes room in a full buffer; false when there is none to be had. */
static bool make_room(struct text_writer *writer)
{
    int error = -ENOSPC;

    if (writer->flush)
        error = writer->flush(writer->target, writer->buffer, writer->used);
    writer->used = 0;
    if (error)
        fail(writer, error);
    return !error;
}

void text_raw_on(struct text_writer *writer, const void *bytes, size_t length)
{
    const char *from = bytes;

    while (length && !writer->error) {
        size_t room = writer->size - writer->used;
        size_t part = length < room ? length : room;

        memcpy(writer->buffer + writer->used, from, part);
        writer->used += part;
        from += part;
        length -= part;
        if (length && !make_room(writer))
            return;
    }
}

void text_integer(struct text_writer *writer, int64_t value)
{
    char text[1 + DECIMAL_BYTES], *end = text + sizeof text, *start;

    start = decimal_write(value < 0 ? 0 - (uint64_t)value : (uint64_t)value, end);
    if (value < 0)
        *--start = '-';
    text_raw(writer, start, (size_t)(end - start));
}

void text_unsigned(struct text_writer *writer, uint64_t value)
{
    char text[DECIMAL_BYTES], *end = text + sizeof text, *start = decimal_write(value, end);

    text_raw(writer, start, (size_t)(end - start));
}

void text_format(struct text_writer *writer, const char *format, ...)
{
    char text[TEXT_FORMAT_BYTES + 1];
    va_list args;
    int length;

    va_start(args, format);
    length = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (length >= 0 && (size_t)length < sizeof text)
        text_raw(writer, text, (size_t)length);
    else
        fail(writer, -ENOSPC);
}

int text_error(const struct text_writer *writer)
{
    return writer->error;
}

int text_finish(struct text_writer *writer)
{
    if (writer->flush && writer->used && !writer->error)
        make_room(writer);
    return writer->error;
}
