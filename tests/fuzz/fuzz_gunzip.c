/*
 * A message in gzip's format, inflated in parts, against zlib that inflates it whole, one member
 * behind the other: the same bytes come out, and the same messages are broken or too large.
 *
 * Input: a byte for the bound (times 64), one that says how the message is cut, then the message.
 */
#include "proto/gunzip.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>
#include <zlib.h>

#define MAX_BYTES (255 * 64)

struct inflated {
    uint8_t bytes[MAX_BYTES + 1];
    size_t length;
};

static void take(void *target, const uint8_t *bytes, size_t length)
{
    struct inflated *inflated = target;

    FUZZ_CHECK(length <= MAX_BYTES - inflated->length);
    if (length > 0)
        memcpy(inflated->bytes + inflated->length, bytes, length);
    inflated->length += length;
}

/* What zlib makes of one member: false when it is broken, cut, or too large. */
static bool inflate_member(z_stream *z, struct inflated *inflated, size_t bound)
{
    int result;

    FUZZ_CHECK(inflateReset(z) == Z_OK);
    z->next_out = inflated->bytes + inflated->length;
    z->avail_out = (unsigned)(bound + 1 - inflated->length);
    result = inflate(z, Z_FINISH);
    inflated->length = bound + 1 - z->avail_out;
    return result == Z_STREAM_END && inflated->length <= bound;
}

static bool inflate_whole(const uint8_t *data, size_t size, struct inflated *inflated, size_t bound)
{
    z_stream z = {.next_in = (uint8_t *)data, .avail_in = (unsigned)size};
    bool good = size > 0;

    inflated->length = 0;
    FUZZ_CHECK(inflateInit2(&z, 15 + 16) == Z_OK);
    while (good && z.avail_in > 0)
        good = inflate_member(&z, inflated, bound);
    inflateEnd(&z);
    return good;
}

static enum gunzip_result inflate_parts(struct gunzip *gunzip, const uint8_t *data, size_t size,
                                        uint8_t pattern, struct inflated *inflated, size_t bound)
{
    enum gunzip_result result = GUNZIP_OK;

    inflated->length = 0;
    for (unsigned turn = 0; result == GUNZIP_OK && size > 0; turn++) {
        size_t bytes = fuzz_part_bytes(pattern, turn, size);
        uint8_t *part = malloc(bytes);

        FUZZ_CHECK(part);
        memcpy(part, data, bytes);
        result = gunzip_part(gunzip, part, bytes, (uint32_t)bound, take, inflated);
        free(part);
        data += bytes;
        size -= bytes;
        FUZZ_CHECK(inflated->length <= bound);
    }
    return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct inflated expected, found;
    static struct gunzip_pool *pool;
    size_t bound;
    bool good;

    if (size < 2)
        return 0;
    if (!pool)
        pool = gunzip_pool_create(1);
    FUZZ_CHECK(pool);
    bound = data[0] * 64u;
    good = inflate_whole(data + 2, size - 2, &expected, bound);
    for (int i = 0; i < 2; i++) {
        struct gunzip *gunzip = gunzip_take(pool);
        enum gunzip_result result;

        FUZZ_CHECK(gunzip);
        result = inflate_parts(gunzip, data + 2, size - 2, i ? data[1] : 0, &found, bound);
        FUZZ_CHECK(good == (result == GUNZIP_OK && gunzip_is_whole(gunzip)));
        if (good)
            FUZZ_CHECK(found.length == expected.length &&
                       memcmp(found.bytes, expected.bytes, found.length) == 0);
        gunzip_give(gunzip);
    }
    return 0;
}
