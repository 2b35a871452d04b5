/*
 * The JSON writer against a table, and against cJSON for every byte and every size of its buffer.
 */
#include "common/compiler.h"
#include "http/json.h"
#include "tests/unit/unit.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

struct sample {
    const char *name;
    const char *bytes;
    size_t length;
    const char *json;
};

#define BYTES(text) text, sizeof text - 1

static const struct sample strings[] = {
    {"nothing", BYTES(""), "\"\""},
    {"plain text", BYTES("pump-001"), "\"pump-001\""},
    {"a quote and a backslash", BYTES("a\"b\\c"), "\"a\\\"b\\\\c\""},
    {"escapes only", BYTES("\"\\\""), "\"\\\"\\\\\\\"\""},
    {"a NUL", BYTES("a\0b"), "\"a\\u0000b\""},
    {"control characters", BYTES("\t\n\r\x1f"), "\"\\u0009\\u000a\\u000d\\u001f\""},
    {"DEL and a slash", BYTES("\x7f/"), "\"\x7f/\""},
    {"UTF-8 of two, three and four bytes", BYTES("\xc3\xa9\xe2\x82\xac\xf0\x9f\x92\xa1"),
     "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x92\xa1\""},
};

static const struct {
    int64_t value;
    const char *json;
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

static void string_sample_is_escaped(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(strings); i++) {
        struct json_writer writer;
        char buffer[256];

        json_start(&writer, buffer, sizeof buffer, NULL, NULL);
        json_string(&writer, strings[i].bytes, strings[i].length);
        assert_int_equal(json_finish(&writer), 0);
        assert_true(writer.used <= JSON_STRING_BYTES(strings[i].length));
        if (writer.used != strlen(strings[i].json) ||
            memcmp(buffer, strings[i].json, writer.used) != 0)
            fail_msg("%s: got %.*s", strings[i].name, (int)writer.used, buffer);
    }
}

static void integer_sample_is_exact(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(integers); i++) {
        struct json_writer writer;
        char buffer[32];

        json_start(&writer, buffer, sizeof buffer, NULL, NULL);
        json_integer(&writer, integers[i].value);
        json_raw(&writer, "", 1);
        assert_int_equal(json_finish(&writer), 0);
        assert_string_equal(buffer, integers[i].json);
    }
}

/* cJSON holds C strings, so NUL is left to the table above. */
static void every_ascii_byte_reads_back_with_cjson(void **state)
{
    (void)state;
    for (int byte = 1; byte < 0x80; byte++) {
        char id[] = {'<', (char)byte, '>', '\0'}, buffer[64];
        struct json_writer writer;
        cJSON *parsed;

        json_start(&writer, buffer, sizeof buffer, NULL, NULL);
        json_string(&writer, id, 3);
        assert_int_equal(json_finish(&writer), 0);
        parsed = cJSON_ParseWithLength(buffer, writer.used);
        assert_non_null(parsed);
        assert_string_equal(cJSON_GetStringValue(parsed), id);
        cJSON_Delete(parsed);
    }
}

static void write_sample_text(struct json_writer *writer)
{
    json_literal(writer, "[{\"device_id\":");
    json_string(writer, "a\"\n\xc3\xa9", 5);
    json_literal(writer, ",\"count\":");
    json_integer(writer, INT64_MIN);
    json_literal(writer, "}]");
}

static void every_buffer_size_gives_the_same_text(void **state)
{
    static const char expected[] =
        "[{\"device_id\":\"a\\\"\\u000a\xc3\xa9\",\"count\":-9223372036854775808}]";

    (void)state;
    for (size_t size = 1; size < 2 * sizeof expected; size++) {
        struct sink sink = {.limit = sizeof sink.text};
        struct json_writer writer;
        char buffer[2 * sizeof expected];

        json_start(&writer, buffer, size, collect, &sink);
        write_sample_text(&writer);
        assert_int_equal(json_finish(&writer), 0);
        assert_int_equal(sink.used, sizeof expected - 1);
        assert_memory_equal(sink.text, expected, sink.used);
    }
}

static void failed_flush_sticks(void **state)
{
    struct sink sink = {.limit = 16};
    struct json_writer writer;
    char buffer[8];

    (void)state;
    json_start(&writer, buffer, sizeof buffer, collect, &sink);
    write_sample_text(&writer);
    assert_int_equal(json_error(&writer), -EPIPE);
    assert_int_equal(sink.calls,
                     3); /* two pieces of 8 bytes fit; nothing is tried after the third */
    json_string(&writer, "more", 4);
    assert_int_equal(json_finish(&writer), -EPIPE);
    assert_int_equal(sink.calls, 3);
}

static void text_without_flush_must_fit(void **state)
{
    struct json_writer writer;
    char buffer[4];

    (void)state;
    json_start(&writer, buffer, sizeof buffer, NULL, NULL);
    json_raw(&writer, "1234", 4);
    assert_int_equal(json_error(&writer), 0);
    json_raw(&writer, "5", 1);
    assert_int_equal(json_finish(&writer), -ENOSPC);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(string_sample_is_escaped),
        cmocka_unit_test(integer_sample_is_exact),
        cmocka_unit_test(every_ascii_byte_reads_back_with_cjson),
        cmocka_unit_test(every_buffer_size_gives_the_same_text),
        cmocka_unit_test(failed_flush_sticks),
        cmocka_unit_test(text_without_flush_must_fit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
