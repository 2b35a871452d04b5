/* What may follow /devices/ in a path, and what it means. */
#include "common/compiler.h"
#include "http/device_path.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <string.h>

#define MAX_ID 8 /* small, so that the table can pass it */

struct sample {
    const char *text;
    enum device_path_result result;
    const char *id;
    size_t length;
};

#define BYTES(text)  text, sizeof text - 1
#define ACCEPT(id)   DEVICE_PATH_OK, BYTES(id)
#define REJECT(what) DEVICE_PATH_##what, NULL, 0

static const struct sample samples[] = {
    {"a", ACCEPT("a")},
    {"pump-001", ACCEPT("pump-001")},
    {"%70ump", ACCEPT("pump")},
    {"%2f%2F", ACCEPT("//")},
    {"a/b", ACCEPT("a/b")},
    {"..//x", ACCEPT("..//x")},
    {"%00", ACCEPT("\0")},
    {"a%00b", ACCEPT("a\0b")},
    {"a+b", ACCEPT("a+b")},
    {"%25", ACCEPT("%")},
    {"%2525", ACCEPT("%25")},
    {"%e2%82%AC", ACCEPT("\xe2\x82\xac")},
    {"\xc3\xa9", ACCEPT("\xc3\xa9")},
    {"\xc3%A9", ACCEPT("\xc3\xa9")},
    {"%31%32%33%34%35%36%37%38", ACCEPT("12345678")},
    {"", REJECT(EMPTY)},
    {"%", REJECT(BAD_ESCAPE)},
    {"a%", REJECT(BAD_ESCAPE)},
    {"%4", REJECT(BAD_ESCAPE)},
    {"%4g", REJECT(BAD_ESCAPE)},
    {"%g4", REJECT(BAD_ESCAPE)},
    {"%%41", REJECT(BAD_ESCAPE)},
    {"% 41", REJECT(BAD_ESCAPE)},
    {"123456789", REJECT(TOO_LONG)},
    {"%31%32%33%34%35%36%37%38%39", REJECT(TOO_LONG)},
    {"%ff", REJECT(NOT_UTF8)},
    {"%c3", REJECT(NOT_UTF8)},
    {"%c0%80", REJECT(NOT_UTF8)},
    {"%ed%a0%80", REJECT(NOT_UTF8)},
};

static void decode_sample_gives_id_or_reason(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(samples); i++) {
        const struct sample *sample = &samples[i];
        enum device_path_result result;
        uint8_t id[64];
        size_t length;

        result = device_path_decode(sample->text, MAX_ID, id, &length);
        if (result != sample->result)
            fail_msg("%s: %s", sample->text, device_path_text(result));
        if (result != DEVICE_PATH_OK)
            continue;
        assert_int_equal(length, sample->length);
        assert_memory_equal(id, sample->id, length);
    }
}

static void decode_every_byte_escaped_gives_it_back(void **state)
{
    (void)state;
    for (unsigned byte = 0; byte < 0x80; byte++) {
        char text[8];
        uint8_t id[8];
        size_t length;

        snprintf(text, sizeof text, "%%%02x", byte);
        assert_int_equal(device_path_decode(text, MAX_ID, id, &length), DEVICE_PATH_OK);
        assert_int_equal(length, 1);
        assert_int_equal(id[0], byte);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decode_sample_gives_id_or_reason),
        cmocka_unit_test(decode_every_byte_escaped_gives_it_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
