/* Inflating in pieces: what one call of zlib's makes of a message, at every split; and nothing but
 * that, and no more than the bound. */
#include "common/compiler.h"
#include "proto/gunzip.h"
#include "tests/unit/random.h"
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define TEXT_BYTES 200000
#define NO_BOUND   UINT32_MAX

struct buffer {
    size_t length;
    uint8_t bytes[TEXT_BYTES];
};

static struct buffer text, packed, out; /* too large for a stack */
static struct gunzip_pool *pool;

static int make_pool(void **state)
{
    (void)state;
    pool = gunzip_pool_create(2);
    return pool ? 0 : -1;
}

static int destroy_pool(void **state)
{
    (void)state;
    gunzip_pool_destroy(pool);
    return 0;
}

/* Text that compresses to about a third. */
static void write_text(size_t length)
{
    uint64_t random = 7;

    text.length = length;
    for (size_t i = 0; i < length; i++)
        text.bytes[i] = (uint8_t)("abcdefg-"[random_below(&random, 8)]);
}

/* Appends a gzip member of these bytes. */
static void pack(const uint8_t *bytes, size_t length)
{
    z_stream stream = {0};

    assert_int_equal(deflateInit2(&stream, 9, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY),
                     Z_OK);
    stream.next_in = (Bytef *)bytes;
    stream.avail_in = (uInt)length;
    stream.next_out = packed.bytes + packed.length;
    stream.avail_out = (uInt)(sizeof packed.bytes - packed.length);
    assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
    packed.length += stream.total_out;
    deflateEnd(&stream);
}

static void pack_text(size_t length)
{
    write_text(length);
    packed.length = 0;
    pack(text.bytes, length);
}

static void append(void *target, const uint8_t *bytes, size_t length)
{
    struct buffer *buffer = target;

    assert_in_range(length, 1, sizeof buffer->bytes - buffer->length);
    memcpy(buffer->bytes + buffer->length, bytes, length);
    buffer->length += length;
}

/* Inflates what is packed, in pieces that end at the cuts, each in memory of its own size. */
static enum gunzip_result inflate_at(size_t first, size_t second, uint32_t max_bytes)
{
    size_t cuts[] = {0, first, second, packed.length};
    struct gunzip *gunzip = gunzip_take(pool);
    enum gunzip_result result = GUNZIP_OK;

    assert_non_null(gunzip);
    out.length = 0;
    for (int i = 0; i < 3 && result == GUNZIP_OK; i++) {
        size_t length = cuts[i + 1] - cuts[i];
        uint8_t *piece = malloc(length + 1);

        assert_non_null(piece);
        memcpy(piece + 1, packed.bytes + cuts[i], length);
        result = gunzip_part(gunzip, piece + 1, length, max_bytes, append, &out);
        free(piece);
    }
    if (result == GUNZIP_OK && !gunzip_is_whole(gunzip))
        result = GUNZIP_BROKEN;
    gunzip_give(gunzip);
    return result;
}

static enum gunzip_result inflate_whole(uint32_t max_bytes)
{
    return inflate_at(0, packed.length, max_bytes);
}

static void assert_is_text(void)
{
    assert_int_equal(out.length, text.length);
    assert_memory_equal(out.bytes, text.bytes, text.length);
}

static void part_every_two_splits_inflate_to_the_same(void **state)
{
    (void)state;
    pack_text(120);
    for (size_t first = 0; first <= packed.length; first++) {
        for (size_t second = first; second <= packed.length; second++) {
            assert_int_equal(inflate_at(first, second, NO_BOUND), GUNZIP_OK);
            assert_is_text();
        }
    }
}

static void part_large_message_in_small_pieces_is_inflated(void **state)
{
    (void)state;
    pack_text(TEXT_BYTES);
    for (size_t cut = 0; cut <= packed.length; cut += 4999) {
        assert_int_equal(inflate_at(cut / 2, cut, NO_BOUND), GUNZIP_OK);
        assert_is_text();
    }
}

static void part_members_follow_one_another(void **state)
{
    (void)state;
    write_text(90);
    packed.length = 0;
    pack(text.bytes, 50);
    pack(text.bytes, 0);
    pack(text.bytes + 50, 40);
    for (size_t cut = 0; cut <= packed.length; cut++) {
        assert_int_equal(inflate_at(cut, cut, NO_BOUND), GUNZIP_OK);
        assert_is_text();
    }
}

static void part_cut_short_is_not_whole(void **state)
{
    size_t whole;

    (void)state;
    pack_text(60);
    for (whole = packed.length, packed.length = 0; packed.length < whole; packed.length++)
        assert_int_equal(inflate_whole(NO_BOUND), GUNZIP_BROKEN);
}

static void part_behind_the_end_nothing_may_follow(void **state)
{
    static const uint8_t tails[][3] = {{0}, {0x1f}, {0x1f, 0x8b}, {0x1f, 0x8b, 8}, "abc", {0x1e}};

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(tails); i++) {
        for (size_t length = 1; length <= 3; length++) {
            pack_text(60);
            append(&packed, tails[i], length);
            for (size_t cut = packed.length - 6; cut <= packed.length; cut++)
                assert_int_equal(inflate_at(cut, cut, NO_BOUND), GUNZIP_BROKEN);
        }
    }
}

/* Each byte changed in turn: zlib itself, in one call, says what that makes of the message. */
static void part_damaged_is_as_zlib_says(void **state)
{
    (void)state;
    for (size_t at = 0; at < 200; at++) {
        z_stream stream = {.next_out = out.bytes, .avail_out = sizeof out.bytes};
        bool good;

        pack_text(100);
        if (at >= packed.length)
            break;
        packed.bytes[at] ^= 0x41;
        stream.next_in = packed.bytes;
        stream.avail_in = (uInt)packed.length;
        assert_int_equal(inflateInit2(&stream, MAX_WBITS + 16), Z_OK);
        good = inflate(&stream, Z_FINISH) == Z_STREAM_END && stream.avail_in == 0;
        inflateEnd(&stream);
        for (size_t cut = 0; cut <= packed.length; cut += 7) {
            assert_int_equal(inflate_at(cut, cut, NO_BOUND), good ? GUNZIP_OK : GUNZIP_BROKEN);
            if (good)
                assert_is_text();
        }
    }
}

static void part_other_formats_are_broken(void **state)
{
    static const uint8_t formats[][8] = {
        {0x78, 0x9c, 0x03, 0x00, 0x00, 0x00, 0x00, 0x01}, /* zlib's own */
        {0x03, 0x00},                                     /* deflate alone */
        "gzip",
        {0},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(formats); i++) {
        packed.length = 0;
        append(&packed, formats[i], sizeof formats[i]);
        assert_int_equal(inflate_whole(NO_BOUND), GUNZIP_BROKEN);
    }
}

static void part_past_the_bound_is_too_large(void **state)
{
    (void)state;
    pack_text(40000);
    assert_int_equal(inflate_whole(40000), GUNZIP_OK);
    for (uint32_t bound = 0; bound < 40000; bound += 1333) {
        assert_int_equal(inflate_at(20, 300, bound), GUNZIP_TOO_LARGE);
        assert_in_range(out.length, 0, bound);
    }
    assert_int_equal(inflate_whole(39999), GUNZIP_TOO_LARGE);
}

/* A bomb: it would inflate to a thousand times its size, and is left after the bound. */
static void part_of_a_bomb_costs_the_bound(void **state)
{
    (void)state;
    text.length = sizeof text.bytes;
    memset(text.bytes, 0, text.length);
    packed.length = 0;
    for (int i = 0; i < 100; i++)
        pack(text.bytes, text.length);
    assert_int_equal(inflate_whole(1000), GUNZIP_TOO_LARGE);
    assert_in_range(out.length, 0, 1000);
    assert_int_equal(inflate_whole(TEXT_BYTES - 1), GUNZIP_TOO_LARGE);
}

static void take_past_the_most_is_refused_until_one_is_given(void **state)
{
    struct gunzip *first = gunzip_take(pool), *second = gunzip_take(pool);

    (void)state;
    assert_non_null(first);
    assert_non_null(second);
    assert_null(gunzip_take(pool));
    gunzip_give(first);
    first = gunzip_take(pool);
    assert_non_null(first);
    gunzip_give(first);
    gunzip_give(second);
    gunzip_give(NULL);
}

/* A state that was given back inside a message begins anew. */
static void take_after_an_unfinished_message_begins_anew(void **state)
{
    struct gunzip *gunzip;

    (void)state;
    pack_text(500);
    for (size_t length = 1; length < packed.length; length += 13) {
        gunzip = gunzip_take(pool);
        out.length = 0;
        assert_int_equal(gunzip_part(gunzip, packed.bytes, length, NO_BOUND, append, &out),
                         GUNZIP_OK);
        gunzip_give(gunzip);
        assert_int_equal(inflate_whole(500), GUNZIP_OK);
        assert_is_text();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(part_every_two_splits_inflate_to_the_same),
        cmocka_unit_test(part_large_message_in_small_pieces_is_inflated),
        cmocka_unit_test(part_members_follow_one_another),
        cmocka_unit_test(part_cut_short_is_not_whole),
        cmocka_unit_test(part_behind_the_end_nothing_may_follow),
        cmocka_unit_test(part_damaged_is_as_zlib_says),
        cmocka_unit_test(part_other_formats_are_broken),
        cmocka_unit_test(part_past_the_bound_is_too_large),
        cmocka_unit_test(part_of_a_bomb_costs_the_bound),
        cmocka_unit_test(take_past_the_most_is_refused_until_one_is_given),
        cmocka_unit_test(take_after_an_unfinished_message_begins_anew),
    };

    return cmocka_run_group_tests_name("gunzip", tests, make_pool, destroy_pool);
}
