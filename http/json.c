/*
 * Most bytes of most strings need no escape, so json_string() copies runs of plain bytes and
 * stops only at the bytes of RFC 8259, section 7, that must be escaped: the quote, the backslash
 * and the control characters below 0x20. DEL and UTF-8 pass as they are. Control characters are
 * written as \u00XX always: one form is enough for readers, and shorter ones save nothing that
 * counts.
 */
#include "http/json.h"

#include "common/decimal.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

void json_start(struct json_writer *writer, char *buffer, size_t size, json_flush *flush,
                void *target)
{
    *writer =
        (struct json_writer){.buffer = buffer, .size = size, .flush = flush, .target = target};
}

/* Makes room in a full buffer; false when there is none to be had. */
static bool make_room(struct json_writer *writer)
{
    if (!writer->flush)
        writer->error = -ENOSPC;
    else
        writer->error = writer->flush(writer->target, writer->buffer, writer->used);
    writer->used = 0;
    return !writer->error;
}

void json_raw(struct json_writer *writer, const void *bytes, size_t length)
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

static bool is_plain(uint8_t byte)
{
    return byte >= 0x20 && byte != '"' && byte != '\\';
}

static void write_escape(struct json_writer *writer, uint8_t byte)
{
    static const char digits[] = "0123456789abcdef";
    char escape[] = {'\\', 'u', '0', '0', digits[byte >> 4], digits[byte & 15]};
    char pair[] = {'\\', (char)byte};

    if (byte < 0x20)
        json_raw(writer, escape, sizeof escape);
    else
        json_raw(writer, pair, sizeof pair);
}

void json_string(struct json_writer *writer, const void *bytes, size_t length)
{
    const uint8_t *from = bytes, *end = from + length;

    json_literal(writer, "\"");
    while (from < end) {
        const uint8_t *run = from;

        while (from < end && is_plain(*from))
            from++;
        json_raw(writer, run, (size_t)(from - run));
        if (from < end)
            write_escape(writer, *from++);
    }
    json_literal(writer, "\"");
}

void json_integer(struct json_writer *writer, int64_t value)
{
    char text[1 + DECIMAL_BYTES], *end = text + sizeof text, *start;

    start = decimal_write(value < 0 ? 0 - (uint64_t)value : (uint64_t)value, end);
    if (value < 0)
        *--start = '-';
    json_raw(writer, start, (size_t)(end - start));
}

int json_error(const struct json_writer *writer)
{
    return writer->error;
}

int json_finish(struct json_writer *writer)
{
    if (writer->flush && writer->used && !writer->error)
        make_room(writer);
    return writer->error;
}
