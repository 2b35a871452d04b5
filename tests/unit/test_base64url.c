/* base64url: each run of bytes has one text, which gives it back, and all other texts are refused.
 */
#include "common/base64url.h"
#include "common/compiler.h"
#include "tests/unit/random.h"
#include "tests/unit/unit.h"

#include <errno.h>
#include <string.h>

#define MOST 50

static const struct {
    const char *bytes;
    size_t length;
    const char *text;
} samples[] = {
    /* RFC 4648, section 10, without the padding */
    {"", 0, ""},
    {"f", 1, "Zg"},
    {"fo", 2, "Zm8"},
    {"foo", 3, "Zm9v"},
    {"foob", 4, "Zm9vYg"},
    {"fooba", 5, "Zm9vYmE"},
    {"foobar", 6, "Zm9vYmFy"},
    {"\0", 1, "AA"},
    {"\xfb\xff\xbf", 3, "-_-_"},
    {"\xff\xff\xff\xff", 4, "_____w"},
};

static void encode_sample_gives_its_text_and_back(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(samples); i++) {
        size_t chars = BASE64URL_CHARS(samples[i].length), used;
        uint8_t back[MOST];
        char text[MOST];

        base64url_encode((const uint8_t *)samples[i].bytes, samples[i].length, text);
        assert_string_equal(text, samples[i].text);
        assert_int_equal(strlen(text), chars);
        assert_int_equal(BASE64URL_BYTES(chars), samples[i].length);
        assert_int_equal(base64url_decode(text, chars, back, &used), 0);
        assert_int_equal(used, samples[i].length);
        assert_memory_equal(back, samples[i].bytes, used);
        assert_true(base64url_has_only_digits(text, chars));
    }
}

/* What does not decode, and whether it is of the right characters at least. */
static const struct {
    const char *text;
    size_t length;
    bool has_only_digits;
} rejected[] = {
    {"A", 1, true},     {"Zm9vY", 5, true},  {"Zh", 2, true},       {"Zm9", 3, true},
    {"Zg==", 4, false}, {"Zm8=", 4, false},  {"Zm9v\n", 5, false},  {" Zm9v", 5, false},
    {"+/+/", 4, false}, {"Zm\0v", 4, false}, {"Zm9\xff", 4, false}, {"Zm.v", 4, false},
};

static void decode_any_other_text_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(rejected); i++) {
        uint8_t bytes[MOST];
        size_t used;

        if (base64url_decode(rejected[i].text, rejected[i].length, bytes, &used) != -EINVAL)
            fail_msg("\"%s\" was taken", rejected[i].text);
        assert_int_equal(base64url_has_only_digits(rejected[i].text, rejected[i].length),
                         rejected[i].has_only_digits);
    }
}

/* Of all texts of two characters, those decode that one byte is encoded as. */
static void decode_of_two_characters_takes_one_text_a_byte(void **state)
{
    unsigned taken = 0;

    (void)state;
    for (unsigned i = 0; i < 65536; i++) {
        char text[] = {(char)(i >> 8), (char)i}, again[3];
        uint8_t byte;
        size_t used;

        if (base64url_decode(text, sizeof text, &byte, &used))
            continue;
        taken++;
        assert_int_equal(used, 1);
        base64url_encode(&byte, 1, again);
        assert_memory_equal(again, text, sizeof text);
    }
    assert_int_equal(taken, 256);
}

static void decode_random_bytes_gives_them_back(void **state)
{
    uint64_t seed = 6;

    (void)state;
    for (size_t round = 0; round < 2000; round++) {
        uint8_t bytes[MOST], back[MOST];
        size_t length = random_below(&seed, MOST + 1), used;
        char text[BASE64URL_CHARS(MOST) + 1];

        for (size_t i = 0; i < length; i++)
            bytes[i] = (uint8_t)random_next(&seed);
        base64url_encode(bytes, length, text);
        assert_int_equal(base64url_decode(text, strlen(text), back, &used), 0);
        assert_int_equal(used, length);
        assert_memory_equal(back, bytes, length);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(encode_sample_gives_its_text_and_back),
        cmocka_unit_test(decode_any_other_text_is_refused),
        cmocka_unit_test(decode_of_two_characters_takes_one_text_a_byte),
        cmocka_unit_test(decode_random_bytes_gives_them_back),
    };

    return cmocka_run_group_tests_name("base64url", tests, NULL, NULL);
}
