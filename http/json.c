/*
 * Most bytes of most strings need no escape, so json_string() copies runs of plain bytes and
 * stops only at the bytes of RFC 8259, section 7, that must be escaped: the quote, the backslash
 * and the control characters below 0x20. DEL and UTF-8 pass as they are. Control characters are
 * written as \u00XX always: one form is enough for readers, and shorter ones save nothing that
 * counts.
 */
#include "http/json.h"

#include "common/load.h"

#include <stdbool.h>
#include <stdint.h>

static bool is_plain(uint8_t byte)
{
    return byte >= 0x20 && byte != '"' && byte != '\\';
}

#define EACH_BYTE(byte) (0x0101010101010101u * (byte))

/* Whether eight bytes are all plain. Taking 0x20 from a byte below it, or 1 from one that the
 * exclusive or has made zero, borrows, which sets its highest bit. A borrow that goes on into the
 * next byte can only make this say no where yes would do. */
static bool are_plain(uint64_t bytes)
{
    uint64_t quote = bytes ^ EACH_BYTE('"'), backslash = bytes ^ EACH_BYTE('\\');
    uint64_t found = (bytes - EACH_BYTE(0x20)) & ~bytes;

    found |= (quote - EACH_BYTE(1)) & ~quote;
    found |= (backslash - EACH_BYTE(1)) & ~backslash;
    return !(found & EACH_BYTE(0x80));
}

static void write_escape(struct text_writer *writer, uint8_t byte)
{
    static const char digits[] = "0123456789abcdef";
    char escape[] = {'\\', 'u', '0', '0', digits[byte >> 4], digits[byte & 15]};
    char pair[] = {'\\', (char)byte};

    if (byte < 0x20)
        text_raw(writer, escape, sizeof escape);
    else
        text_raw(writer, pair, sizeof pair);
}

void json_string(struct text_writer *writer, const void *bytes, size_t length)
{
    const uint8_t *from = bytes, *end = from + length;

    text_literal(writer, "\"");
    while (from < end) {
        const uint8_t *run = from;

        while (end - from >= 8 && are_plain(load_u64(from)))
            from += 8;
        while (from < end && is_plain(*from))
            from++;
        text_raw(writer, run, (size_t)(from - run));
        if (from < end)
            write_escape(writer, *from++);
    }
    text_literal(writer, "\"");
}
