/* Nearly all text we check is ASCII, so that is asked first, eight bytes at a time. */
#include "common/utf8.h"

#include "common/compiler.h"
#include "common/load.h"

/* The last load of each length overlaps the one before it, so that no byte is left over. */
static bool is_ascii(const uint8_t *bytes, size_t length)
{
    uint64_t all = 0;

    if (length >= 8) {
        for (size_t i = 0; i < length - 8; i += 8)
            all |= load_u64(bytes + i);
        all |= load_u64(bytes + length - 8);
    } else if (length >= 4) {
        all = load_u32(bytes) | load_u32(bytes + length - 4);
    } else if (length > 0) {
        all = bytes[0] | bytes[length / 2] | bytes[length - 1];
    }
    return (all & 0x8080808080808080u) == 0;
}

size_t utf8_character_bytes(const uint8_t *bytes, size_t length)
{
    uint8_t lead, low = 0x80, high = 0xbf;
    size_t need;

    if (length == 0)
        return 0;
    lead = bytes[0];
    if (lead < 0x80)
        return 1;
    if (lead < 0xc2 || lead > 0xf4)
        return 0;
    need = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    if (length < need)
        return 0;

    /* What is over-long, a surrogate or past U+10FFFF shows in the second byte. */
    if (lead == 0xe0)
        low = 0xa0;
    else if (lead == 0xed)
        high = 0x9f;
    else if (lead == 0xf0)
        low = 0x90;
    else if (lead == 0xf4)
        high = 0x8f;
    if (bytes[1] < low || bytes[1] > high)
        return 0;
    for (size_t i = 2; i < need; i++) {
        if ((bytes[i] & 0xc0) != 0x80)
            return 0;
    }
    return need;
}

bool utf8_is_valid(const uint8_t *bytes, size_t length)
{
    if (likely(is_ascii(bytes, length)))
        return true;
    while (length > 0) {
        size_t used = utf8_character_bytes(bytes, length);

        if (used == 0)
            return false;
        bytes += used;
        length -= used;
    }
    return true;
}
