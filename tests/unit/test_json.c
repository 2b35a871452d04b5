/* JSON strings against a table, and against cJSON for every byte. */
#include "common/compiler.h"
#include "http/json.h"
#include "tests/unit/unit.h"

#include <cjson/cJSON.h>
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

static void string_sample_is_escaped(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(strings); i++) {
        struct text_writer writer;
        char buffer[256];

        text_start(&writer, buffer, sizeof buffer, NULL, NULL);
        json_string(&writer, strings[i].bytes, strings[i].length);
        assert_int_equal(text_finish(&writer), 0);
        assert_true(writer.used <= JSON_STRING_BYTES(strings[i].length));
        if (writer.used != strlen(strings[i].json) ||
            memcmp(buffer, strings[i].json, writer.used) != 0)
            fail_msg("%s: got %.*s", strings[i].name, (int)writer.used, buffer);
    }
}

/* At every place of a string, since plain bytes are looked at in groups. cJSON holds C strings, so
 * NUL is left to the table above. */
static void every_ascii_byte_reads_back_with_cjson(void **state)
{
    (void)state;
    for (int byte = 1; byte < 0x80; byte++) {
        for (size_t place = 0; place < 24; place++) {
            char id[] = "0123456789abcdefghijklmn", buffer[256];
            struct text_writer writer;
            cJSON *parsed;

            id[place] = (char)byte;
            text_start(&writer, buffer, sizeof buffer, NULL, NULL);
            json_string(&writer, id, 24);
            assert_int_equal(text_finish(&writer), 0);
            parsed = cJSON_ParseWithLength(buffer, writer.used);
            assert_non_null(parsed);
            assert_string_equal(cJSON_GetStringValue(parsed), id);
            cJSON_Delete(parsed);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(string_sample_is_escaped),
        cmocka_unit_test(every_ascii_byte_reads_back_with_cjson),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
