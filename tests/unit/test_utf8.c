/* UTF-8 by RFC 3629: tables, every code point, and every short string of bytes by the grammar. */
#include "common/compiler.h"
#include "common/utf8.h"
#include "tests/unit/unit.h"

#include <string.h>

#define BYTES(text) ((const uint8_t *)(text)), (sizeof(text) - 1)

struct sample {
    const uint8_t *bytes;
    size_t length;
};

static const struct sample accepted[] = {
    {BYTES("")},
    {BYTES("\0")},
    {BYTES("pump-17")},
    {BYTES("a\0b")},
    {BYTES("\x7f")},
    {BYTES("\xc2\x80")},         /* U+0080 */
    {BYTES("\xdf\xbf")},         /* U+07FF */
    {BYTES("\xe0\xa0\x80")},     /* U+0800 */
    {BYTES("\xed\x9f\xbf")},     /* U+D7FF, the last before the surrogates */
    {BYTES("\xee\x80\x80")},     /* U+E000, the first after them */
    {BYTES("\xef\xbf\xbf")},     /* U+FFFF */
    {BYTES("\xf0\x90\x80\x80")}, /* U+10000 */
    {BYTES("\xf4\x8f\xbf\xbf")}, /* U+10FFFF */
    {BYTES("K\xc3\xbchlh\xc3\xa4us 3 \xe6\xb8\xa9 \xf0\x9f\x8c\xa1")},
};

static const struct sample rejected[] = {
    {BYTES("\x80")},             /* a continuation alone */
    {BYTES("\xbf")},             /* the same */
    {BYTES("\xc3")},             /* a lead alone */
    {BYTES("\xe2\x82")},         /* one byte short */
    {BYTES("\xf0\x9f\x8c")},     /* one byte short */
    {BYTES("\xc3\xc3")},         /* a lead where a continuation belongs */
    {BYTES("\xc3z")},            /* ASCII where one belongs */
    {BYTES("\xc0\x80")},         /* over-long NUL */
    {BYTES("\xc1\xbf")},         /* over-long U+007F */
    {BYTES("\xe0\x9f\xbf")},     /* over-long U+07FF */
    {BYTES("\xf0\x8f\xbf\xbf")}, /* over-long U+FFFF */
    {BYTES("\xed\xa0\x80")},     /* U+D800 */
    {BYTES("\xed\xbf\xbf")},     /* U+DFFF */
    {BYTES("\xf4\x90\x80\x80")}, /* U+110000 */
    {BYTES("\xf5\x80\x80\x80")}, /* leads that never occur */
    {BYTES("\xf8\x88\x80\x80\x80")},
    {BYTES("\xfe")},
    {BYTES("\xff")},
    {BYTES("\xe2\x82z")},        /* the third byte is none */
    {BYTES("\xf0\x9f\x8cz")},    /* the fourth byte is none */
    {BYTES("\xe2\x82\xac\x80")}, /* a continuation too many */
};

static void is_valid_well_formed_text_returns_true(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(accepted); i++)
        assert_true(utf8_is_valid(accepted[i].bytes, accepted[i].length));
}

static void is_valid_ill_formed_text_returns_false(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(rejected); i++)
        assert_false(utf8_is_valid(rejected[i].bytes, rejected[i].length));
}

/* Each sample behind and before ASCII of every length, so at every place of a word. */
static void is_valid_sample_within_ascii_is_judged_the_same(void **state)
{
    uint8_t text[64];

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(accepted) + ARRAY_LENGTH(rejected); i++) {
        bool good = i < ARRAY_LENGTH(accepted);
        const struct sample *sample = good ? &accepted[i] : &rejected[i - ARRAY_LENGTH(accepted)];

        for (size_t before = 0; before < 20; before++) {
            for (size_t after = 0; after < 20; after++) {
                memset(text, 'a', sizeof text);
                memcpy(text + before, sample->bytes, sample->length);
                assert_int_equal(utf8_is_valid(text, before + sample->length + after), good);
            }
        }
    }
}

/* Each string of two bytes, and of three and four whose last are on the bounds that matter, by
 * the grammar of RFC 3629, section 4, written out as it stands there. */
static bool in(uint8_t byte, uint8_t low, uint8_t high)
{
    return byte >= low && byte <= high;
}

static size_t grammar(const uint8_t *s, size_t length)
{
    bool tail1 = length > 1 && in(s[1], 0x80, 0xbf);
    bool tail2 = length > 2 && in(s[2], 0x80, 0xbf), tail3 = length > 3 && in(s[3], 0x80, 0xbf);

    if (in(s[0], 0x00, 0x7f))
        return 1;
    if (in(s[0], 0xc2, 0xdf) && tail1)
        return 2;
    if (!tail1 || !tail2)
        return 0;
    if ((s[0] == 0xe0 && s[1] >= 0xa0) || in(s[0], 0xe1, 0xec) || (s[0] == 0xed && s[1] <= 0x9f) ||
        in(s[0], 0xee, 0xef))
        return 3;
    if (tail3 &&
        ((s[0] == 0xf0 && s[1] >= 0x90) || in(s[0], 0xf1, 0xf3) || (s[0] == 0xf4 && s[1] <= 0x8f)))
        return 4;
    return 0;
}

static void character_bytes_follow_the_grammar(void **state)
{
    static const uint8_t bounds[] = {0x00, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xff};

    (void)state;
    for (unsigned pair = 0; pair < 0x10000; pair++) {
        for (size_t i = 0; i < ARRAY_LENGTH(bounds) * ARRAY_LENGTH(bounds); i++) {
            const uint8_t s[4] = {(uint8_t)(pair >> 8), (uint8_t)pair,
                                  bounds[i / ARRAY_LENGTH(bounds)],
                                  bounds[i % ARRAY_LENGTH(bounds)]};

            for (size_t length = 1; length <= sizeof s; length++) {
                if (utf8_character_bytes(s, length) != grammar(s, length))
                    fail_msg("%02x %02x %02x %02x, length %zu", s[0], s[1], s[2], s[3], length);
            }
        }
    }
    assert_int_equal(utf8_character_bytes((const uint8_t *)"a", 0), 0);
}

static void is_valid_every_code_point_returns_true_but_for_surrogates(void **state)
{
    (void)state;
    for (uint32_t c = 0x80; c <= 0x10ffff; c++) {
        uint8_t s[4];
        size_t length;

        if (c < 0x800) {
            length = 2;
            s[0] = (uint8_t)(0xc0 | c >> 6);
        } else if (c < 0x10000) {
            length = 3;
            s[0] = (uint8_t)(0xe0 | c >> 12);
        } else {
            length = 4;
            s[0] = (uint8_t)(0xf0 | c >> 18);
        }
        for (size_t i = 1; i < length; i++)
            s[i] = (uint8_t)(0x80 | (c >> 6 * (length - 1 - i) & 0x3f));
        if (utf8_is_valid(s, length) == (c >= 0xd800 && c <= 0xdfff))
            fail_msg("U+%04X", (unsigned)c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_valid_well_formed_text_returns_true),
        cmocka_unit_test(is_valid_ill_formed_text_returns_false),
        cmocka_unit_test(is_valid_sample_within_ascii_is_judged_the_same),
        cmocka_unit_test(character_bytes_follow_the_grammar),
        cmocka_unit_test(is_valid_every_code_point_returns_true_but_for_surrogates),
    };

    return cmocka_run_group_tests_name("utf8", tests, NULL, NULL);
}
