/* Cursors as text: each has one, which gives it back, and all other texts are refused. */
#include "common/compiler.h"
#include "http/cursor.h"
#include "tests/unit/random.h"
#include "tests/unit/unit.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#define ROUNDS 2000

static struct cursor cursor_of(enum cursor_order order, int64_t count, const char *id,
                               size_t id_length)
{
    struct cursor cursor = {.order = order, .count = count, .id_length = id_length};

    memcpy(cursor.id, id, id_length);
    return cursor;
}

static bool is_same(const struct cursor *a, const struct cursor *b)
{
    return a->order == b->order && a->count == b->count && a->id_length == b->id_length &&
           !memcmp(a->id, b->id, a->id_length);
}

static const struct {
    enum cursor_order order;
    int64_t count;
    const char *id;
    size_t id_length;
    const char *text;
} samples[] = {
    {CURSOR_BY_ID, 0, "a", 1, "AWE"},
    {CURSOR_BY_ID, 0, "ab", 2, "AWFi"},
    {CURSOR_BY_ID, 0, "abc", 3, "AWFiYw"},
    {CURSOR_BY_ID, 0, "\0", 1, "AQA"},
    {CURSOR_BY_ID, 0, "\xf4\x8f\xbf\xbf", 4, "AfSPv78"},
    {CURSOR_BY_ID, 0, "?>?", 3, "AT8-Pw"},
    {CURSOR_BY_COUNT_DOWN, 1, "a", 1, "AgAAAAAAAAABYQ"},
    {CURSOR_BY_COUNT_DOWN, INT64_MAX, "a", 1, "An__________YQ"},
    {CURSOR_BY_COUNT_UP, -1, "a", 1, "A___________YQ"},
    {CURSOR_BY_COUNT_UP, INT64_MIN, "a", 1, "A4AAAAAAAAAAYQ"},
};

static void encode_sample_gives_its_text(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(samples); i++) {
        struct cursor cursor =
            cursor_of(samples[i].order, samples[i].count, samples[i].id, samples[i].id_length);
        struct cursor back;
        char text[CURSOR_TEXT_BYTES];

        cursor_encode(&cursor, text);
        assert_string_equal(text, samples[i].text);
        assert_int_equal(cursor_decode(text, strlen(text), &back), 0);
        assert_true(is_same(&cursor, &back));
    }
}

static void decode_any_cursor_gives_it_back(void **state)
{
    uint64_t seed = 4;

    (void)state;
    for (size_t round = 0; round < ROUNDS; round++) {
        struct cursor cursor = {.order = CURSOR_BY_ID + (int)random_below(&seed, 3)}, back;
        char text[CURSOR_TEXT_BYTES];

        if (cursor.order != CURSOR_BY_ID)
            cursor.count = (int64_t)random_next(&seed);
        cursor.id_length =
            round < 8 ? CURSOR_MAX_ID_BYTES - round : 1 + random_below(&seed, CURSOR_MAX_ID_BYTES);
        for (size_t i = 0; i < cursor.id_length; i++)
            cursor.id[i] = (uint8_t)random_below(&seed, 0x80);
        cursor_encode(&cursor, text);
        assert_true(strlen(text) < CURSOR_TEXT_BYTES);
        assert_int_equal(cursor_decode(text, strlen(text), &back), 0);
        assert_true(is_same(&cursor, &back));
    }
}

static const char *const rejected[] = {
    "",         "A",        "AQ",                   /* no id */
    "AW",                                           /* no id, and bits left over */
    "AWF",                                          /* bits left over */
    "AWE=",                                         /* padding */
    "AWE ",     " AWE",     "AWE\n",        "AW+i", /* the other alphabet of base64 */
    "AT8/Pw",   "AGE",                              /* orders that there are not */
    "BGE",      "_2E",      "AgAAAAAAAAAB",         /* a count without an id */
    "AgAAAAAA", "Ag",       "Af8",                  /* not UTF-8 */
    "AcOA_w",   "AeKCrOKC", "null",
};

static void decode_rejected_sample_is_refused(void **state)
{
    struct cursor cursor;

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(rejected); i++) {
        if (cursor_decode(rejected[i], strlen(rejected[i]), &cursor) != -EINVAL)
            fail_msg("\"%s\" was taken", rejected[i]);
    }
    assert_int_equal(cursor_decode("AWE\0", 4, &cursor), -EINVAL);
}

static void decode_id_past_the_bound_is_refused(void **state)
{
    char text[2 * CURSOR_TEXT_BYTES];
    struct cursor cursor;

    (void)state;
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = "YWFh"[i % 4]; /* "aaa" */
    text[0] = 'A';               /* CURSOR_BY_ID, and "aa" */
    for (size_t length = 4; length < sizeof text; length += 4) {
        bool fits = length / 4 * 3 - 1 <= CURSOR_MAX_ID_BYTES;

        assert_int_equal(cursor_decode(text, length, &cursor), fits ? 0 : -EINVAL);
    }
}

/* What is taken is what would have been written: no cursor has two texts. */
static void decode_changed_text_is_refused_or_another_cursor(void **state)
{
    struct cursor cursor = cursor_of(CURSOR_BY_COUNT_DOWN, 12345678, "pump-17", 7), back;
    char text[CURSOR_TEXT_BYTES], again[CURSOR_TEXT_BYTES];
    size_t length, taken = 0;

    (void)state;
    cursor_encode(&cursor, text);
    length = strlen(text);
    for (size_t at = 0; at < length; at++) {
        char kept = text[at];

        for (int byte = 0; byte < 256; byte++) {
            text[at] = (char)byte;
            if (cursor_decode(text, length, &back))
                continue;
            taken++;
            cursor_encode(&back, again);
            assert_string_equal(again, text);
        }
        text[at] = kept;
    }
    assert_true(taken > 64);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(encode_sample_gives_its_text),
        cmocka_unit_test(decode_any_cursor_gives_it_back),
        cmocka_unit_test(decode_rejected_sample_is_refused),
        cmocka_unit_test(decode_id_past_the_bound_is_refused),
        cmocka_unit_test(decode_changed_text_is_refused_or_another_cursor),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
