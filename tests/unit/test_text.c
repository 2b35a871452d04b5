/* The text writer: its numbers, every size of its buffer, and its errors. */
#include "common/compiler.h"
#include "http/text.h"
#include "tests/unit/unit.h"

#include <errno.h>
#include <string.h>

static const struct {
    int64_t value;
    const char *text;
} integers[] = {
    {0, "0"},
    {7, "7"},
    {-1, "-1"},
    {10, "10"},
    {9007199254740993, "9007199254740993"},
    {INT64_MAX, "9223372036854775807"},
    {INT64_MIN, "-9223372036854775808"},
};

/* A flush that collects the text, and fails once it has taken `limit` bytes. */
struct sink {
    char text[1024];
    size_t used;
    size_t limit;
    int calls;
};

static int collect(void *target, const char *bytes, size_t length)
{
    struct sink *sink = target;

    sink->calls++;
    if (sink->used + length > sink->limit)
        return -EPIPE;
    memcpy(sink->text + sink->used, bytes, length);
    sink->used += length;
    return 0;
}

static void integer_sample_is_exact(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(integers); i++) {
        struct text_writer writer;
        char buffer[32];

        text_start(&writer, buffer, sizeof buffer, NULL, NULL);
        text_integer(&writer, integers[i].value);
        text_raw(&writer, "", 1);
        assert_int_equal(text_finish(&writer), 0);
        assert_string_equal(buffer, integers[i].text);
    }
}

static void write_sample_text(struct text_writer *writer)
{
    text_literal(writer, "[one, ");
    text_unsigned(writer, UINT64_MAX);
    text_format(writer, ", %.1f, ", 2.5);
    text_integer(writer, INT64_MIN);
    text_literal(writer, "]");
}

static void every_buffer_size_gives_the_same_text(void **state)
{
    static const char expected[] = "[one, 18446744073709551615, 2.5, -9223372036854775808]";

    (void)state;
    for (size_t size = 1; size < 2 * sizeof expected; size++) {
        struct sink sink = {.limit = sizeof sink.text};
        struct text_writer writer;
        char buffer[2 * sizeof expected];

        text_start(&writer, buffer, size, collect, &sink);
        write_sample_text(&writer);
        assert_int_equal(text_finish(&writer), 0);
        assert_int_equal(sink.used, sizeof expected - 1);
        assert_memory_equal(sink.text, expected, sink.used);
    }
}

static void failed_flush_sticks(void **state)
{
    struct sink sink = {.limit = 16};
    struct text_writer writer;
    char buffer[8];

    (void)state;
    text_start(&writer, buffer, sizeof buffer, collect, &sink);
    write_sample_text(&writer);
    assert_int_equal(text_error(&writer), -EPIPE);
    /* Two pieces of 8 bytes fit; nothing is tried after the third. */
    assert_int_equal(sink.calls, 3);
    text_literal(&writer, "more");
    assert_int_equal(text_finish(&writer), -EPIPE);
    assert_int_equal(sink.calls, 3);
}

static void text_without_flush_must_fit(void **state)
{
    struct text_writer writer;
    char buffer[4];

    (void)state;
    text_start(&writer, buffer, sizeof buffer, NULL, NULL);
    text_raw(&writer, "1234", 4);
    assert_int_equal(text_error(&writer), 0);
    text_raw(&writer, "5", 1);
    assert_int_equal(text_finish(&writer), -ENOSPC);
}

static void format_longer_than_its_bound_is_an_error(void **state)
{
    struct text_writer writer;
    char buffer[2 * TEXT_FORMAT_BYTES];

    (void)state;
    text_start(&writer, buffer, sizeof buffer, NULL, NULL);
    text_format(&writer, "%*d", TEXT_FORMAT_BYTES, 1);
    assert_int_equal(text_error(&writer), 0);
    assert_int_equal(writer.used, TEXT_FORMAT_BYTES);
    text_format(&writer, "%*d", TEXT_FORMAT_BYTES + 1, 1);
    assert_int_equal(text_error(&writer), -ENOSPC);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integer_sample_is_exact),
        cmocka_unit_test(every_buffer_size_gives_the_same_text),
        cmocka_unit_test(failed_flush_sticks),
        cmocka_unit_test(text_without_flush_must_fit),
        cmocka_unit_test(format_longer_than_its_bound_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
