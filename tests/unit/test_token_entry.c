/* One line of the token file alone; test_token_file.c has what is accepted and what is not. */
#include "common/compiler.h"
#include "common/token_entry.h"
#include "common/token_right.h"
#include "tests/unit/unit.h"

#include <errno.h>
#include <string.h>

#define HASH "sha256=000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

static void absent_are_blank_lines_and_comments(void **state)
{
    static const char *const absent[] = {"", " ", "\t \t", "#", "# x", " \t# x", "#x"};
    static const char *const present[] = {"x", " x", "x #", "\r", "-#"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(absent); i++)
        assert_true(token_entry_is_absent(absent[i], strlen(absent[i])));
    for (size_t i = 0; i < ARRAY_LENGTH(present); i++)
        assert_false(token_entry_is_absent(present[i], strlen(present[i])));
    assert_true(token_entry_is_absent("  x", 2)); /* it looks no further than the line */
}

static void parse_reads_all_of_a_line_and_no_more(void **state)
{
    static const char line[] = " a ingest,read " HASH " max-devices=12\tprefix=b%2Fc";
    char error[ERROR_BYTES] = "";
    struct token_entry entry;

    (void)state;
    for (size_t cut = 0; cut < 2; cut++) {
        assert_int_equal(token_entry_parse(&entry, line, strlen(line) - cut, error), 0);
        assert_string_equal(entry.name, "a");
        assert_int_equal(entry.rights, TOKEN_INGEST | TOKEN_READ);
        for (size_t i = 0; i < TOKEN_HASH_BYTES; i++)
            assert_int_equal(entry.hash[i], i);
        assert_true(entry.max_devices == 12);
        assert_string_equal(entry.prefix, cut ? "b/" : "b/c");
        assert_int_equal(entry.prefix_length, 3 - cut);
        token_entry_fini(&entry);
    }
}

static void parse_without_limits_has_none(void **state)
{
    static const char line[] = "a admin " HASH;
    char error[ERROR_BYTES] = "";
    struct token_entry entry;

    (void)state;
    assert_int_equal(token_entry_parse(&entry, line, strlen(line), error), 0);
    assert_true(entry.max_devices == TOKEN_ENTRY_NO_LIMIT);
    assert_string_equal(entry.prefix, "");
    token_entry_fini(&entry);
    token_entry_fini(&entry);
}

/* It might hold a token that was pasted there by mistake. */
static void parse_says_what_is_wrong_and_never_quotes_it(void **state)
{
    static const char *const lines[] = {
        "zqx",     "zqx zqx",      "a read zqx",     "a read sha256=zqx",
        "zqx\x01", "a zqx=1,read", "a read zqx=zqx", "zqx read " HASH " zqx"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(lines); i++) {
        char error[ERROR_BYTES] = "";
        struct token_entry entry;

        assert_int_equal(token_entry_parse(&entry, lines[i], strlen(lines[i]), error), -EINVAL);
        assert_true(*error);
        assert_null(strstr(error, "zqx"));
        token_entry_fini(&entry);
    }
}

static void limitable_is_who_may_send(void **state)
{
    (void)state;
    assert_true(token_entry_is_limitable(TOKEN_INGEST));
    assert_true(token_entry_is_limitable(TOKEN_ADMIN | TOKEN_READ));
    assert_false(token_entry_is_limitable(TOKEN_READ));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(absent_are_blank_lines_and_comments),
        cmocka_unit_test(parse_reads_all_of_a_line_and_no_more),
        cmocka_unit_test(parse_without_limits_has_none),
        cmocka_unit_test(parse_says_what_is_wrong_and_never_quotes_it),
        cmocka_unit_test(limitable_is_who_may_send),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
