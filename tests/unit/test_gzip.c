/* gzip: what is compressed in pieces of any size reads back whole. */
#include "http/gzip.h"
#include "tests/unit/unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_BYTES (300 * 1000)

static int collect(void *target, const char *bytes, size_t length)
{
    text_raw(target, bytes, length);
    return text_error(target);
}

/* Some of it repeats, and some does not, so that it takes more than one piece. */
static char *make_text(void)
{
    char *text = malloc(TEXT_BYTES);
    uint32_t x = 1;

    assert_non_null(text);
    for (size_t i = 0; i < TEXT_BYTES; i++) {
        x = x * 1664525 + 1013904223;
        text[i] = i % 4096 < 3072 ? (char)(x >> 24) : 'a';
    }
    return text;
}

static void every_piece_size_reads_back(void **state)
{
    static const size_t sizes[] = {1000, 4096, 65536, 65537, TEXT_BYTES};
    char *text = make_text(), *compressed = malloc(2 * TEXT_BYTES);

    (void)state;
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        struct text_writer gathered;
        struct gzip *gzip = gzip_create(collect, &gathered);
        char *whole;

        assert_non_null(gzip);
        text_start(&gathered, compressed, 2 * TEXT_BYTES, NULL, NULL);
        for (size_t i = 0; i < TEXT_BYTES; i += sizes[s]) {
            size_t part = TEXT_BYTES - i < sizes[s] ? TEXT_BYTES - i : sizes[s];

            assert_int_equal(gzip_write(gzip, text + i, part, false), 0);
        }
        assert_int_equal(gzip_write(gzip, "", 0, true), 0);
        gzip_destroy(gzip);
        whole = gzip_expand(compressed, gathered.used, TEXT_BYTES);
        assert_non_null(whole);
        assert_memory_equal(whole, text, TEXT_BYTES);
        free(whole);
    }
    free(compressed);
    free(text);
}

static void failed_flush_is_returned(void **state)
{
    char *text = make_text(), buffer[1000];
    struct text_writer gathered;
    struct gzip *gzip = gzip_create(collect, &gathered);

    (void)state;
    assert_non_null(gzip);
    text_start(&gathered, buffer, sizeof buffer, NULL, NULL);
    assert_int_equal(gzip_write(gzip, text, TEXT_BYTES, true), -ENOSPC);
    gzip_destroy(gzip);
    free(text);
}

static void expand_refuses_what_is_no_such_file(void **state)
{
    char buffer[200];
    struct text_writer gathered;
    struct gzip *gzip = gzip_create(collect, &gathered);
    void *whole;

    (void)state;
    assert_non_null(gzip);
    text_start(&gathered, buffer, sizeof buffer, NULL, NULL);
    assert_int_equal(gzip_write(gzip, "tally", 5, true), 0);
    gzip_destroy(gzip);

    whole = gzip_expand(buffer, gathered.used, 5);
    assert_non_null(whole);
    free(whole);
    assert_null(gzip_expand(buffer, gathered.used, 4));
    assert_null(gzip_expand(buffer, gathered.used, 6));
    assert_null(gzip_expand(buffer, gathered.used - 1, 5));
    buffer[0] ^= 1;
    assert_null(gzip_expand(buffer, gathered.used, 5));
    assert_int_equal(errno, EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_piece_size_reads_back),
        cmocka_unit_test(failed_flush_is_returned),
        cmocka_unit_test(expand_refuses_what_is_no_such_file),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
