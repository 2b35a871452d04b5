/* See session_packets.h. */
#include "tests/fuzz/session_packets.h"

#include "tests/fuzz/fuzz.h"

#include <string.h>
#include <zlib.h>

/* Puts a message's framing before it. */
static size_t frame_message(uint8_t *to, uint8_t flag, const uint8_t *message, size_t length)
{
    const uint8_t head[] = {flag, 0, 0, (uint8_t)(length >> 8), (uint8_t)length};

    memcpy(to, head, sizeof head);
    memcpy(to + sizeof head, message, length);
    return sizeof head + length;
}

static size_t deflated(const uint8_t *message, size_t length, uint8_t *out, size_t room)
{
    z_stream z = {.next_in = (uint8_t *)message,
                  .avail_in = (unsigned)length,
                  .next_out = out,
                  .avail_out = (unsigned)room};

    FUZZ_CHECK(deflateInit2(&z, 1, Z_DEFLATED, 15 + 16, 1, Z_DEFAULT_STRATEGY) == Z_OK);
    FUZZ_CHECK(deflate(&z, Z_FINISH) == Z_STREAM_END);
    deflateEnd(&z);
    return room - z.avail_out;
}

size_t session_packet(uint8_t to[SESSION_PACKET_BYTES], unsigned device, unsigned shape, bool gzip)
{
    static const struct {
        const char *before, *behind;
        size_t before_length, behind_length;
    } shapes[] = {
        {"", "\x10\x80\xa0\xc1\xe3\xb8\x31\x1a\x05hello", 0, 14}, /* the usual one */
        {"", "", 0, 0},
        {"\x1a\x02hi\x10\x05", "", 6, 0},   /* in another order */
        {"\x0a\x03odd", "\x22\x01p", 5, 3}, /* the last id wins; a field that is not known */
    };
    const uint8_t id[] = {0x0a, 2, 'd', (uint8_t)('0' + device)};
    uint8_t message[SESSION_PACKET_BYTES], packed[SESSION_PACKET_BYTES];
    size_t length = shapes[shape % 4].before_length;

    memcpy(message, shapes[shape % 4].before, length);
    memcpy(message + length, id, sizeof id);
    length += sizeof id;
    memcpy(message + length, shapes[shape % 4].behind, shapes[shape % 4].behind_length);
    length += shapes[shape % 4].behind_length;
    if (!gzip)
        return frame_message(to, 0, message, length);
    length = deflated(message, length, packed, sizeof packed - 5);
    return frame_message(to, 1, packed, length);
}

const uint8_t *session_bad_packet(unsigned which, size_t *length)
{
    static const struct {
        const char *bytes;
        size_t length;
    } bad[] = {
        {"\x02\x00\x00\x00\x00", 5},             /* its flag */
        {"\x00\x00\x00\x00\x00", 5},             /* no device_id */
        {"\x00\x00\x00\x00\x03\x0a\x01\xff", 8}, /* one that is no UTF-8 */
        {"\x00\x00\x00\x00\x02\x00\x00", 7},     /* a field of number 0 */
        {"\x00\x00\x00\x03\xe9", 5},             /* one byte too large */
        {"\x00\x00\x00\x00\x23\x0a\x21"          /* an id one byte too long */
         "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
         40},
        {"\x00\x00\x00\x00\x02\x0a\x05", 7}, /* an id past the message's end */
    };

    which %= sizeof bad / sizeof *bad;
    *length = bad[which].length;
    return (const uint8_t *)bad[which].bytes;
}
