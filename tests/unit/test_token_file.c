/* The token file: what is accepted, what is refused and why, and that what is written reads back.
 */
#include "common/token_file.h"
#include "common/token_render.h"
#include "common/tokens.h"
#include "tests/unit/random.h"
#include "tests/unit/unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define H1  "sha256=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define H2  "sha256=ff23456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define N64 "n123456789n123456789n123456789n123456789n123456789n123456789n123"

static int parse(const char *text, struct token_file *file, char error[ERROR_BYTES])
{
    return token_file_parse(file, text, strlen(text), error);
}

static void parse_of_good_files_gives_their_tokens(void **state)
{
    static const struct {
        const char *text;
        size_t count;
    } good[] = {
        {"", 0},
        {"\n\n", 0},
        {"# nobody yet", 0},
        {"   # with blanks before\n\t\n", 0},
        {"a ingest " H1, 1},
        {"a ingest " H1 "\n", 1},
        {"a ingest " H1 "\r\n", 1},
        {"  a\t\tingest   " H1 "  \n", 1},
        {"a "
         "ingest,read,admin " H1 "\n",
         1},
        {"a admin,read,ingest " H1 "\n", 1},
        {"A.b-c_9 read,ingest " H1 " prefix=x max-devices=1\n", 1},
        {"a admin max-devices=1000000000 prefix=%00%20%25 " H1 "\n", 1},
        {"a ingest " H1 " prefix=#=%E5%8C%97\xE4\xBA\xAC\n", 1},
        {N64 " read " H1 "\n", 1},
        {"a read " H1 "\n# between\n\nb read " H2, 2},
        {"a read sha256=0123456789ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef\n", 1},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(good); i++) {
        char error[ERROR_BYTES];
        struct token_file file;

        if (parse(good[i].text, &file, error))
            fail_msg("\"%s\": %s", good[i].text, error);
        assert_int_equal(file.count, good[i].count);
        token_file_fini(&file);
    }
}

static void parse_of_bad_files_says_which_line_and_why(void **state)
{
    static const struct {
        const char *text, *error;
    } bad[] = {
        {"a", "line 1: after the name come rights"},
        {"a ingest", "line 1: sha256= is missing"},
        {"\n\na ingest\n", "line 3: sha256= is missing"},
        {"a " H1, "line 1: after the name come rights"},
        {"a write " H1, "line 1: after the name come rights"},
        {"a Ingest " H1, "line 1: after the name come rights"},
        {"a ingest, " H1, "line 1: after the name come rights"},
        {"a ,ingest " H1, "line 1: after the name come rights"},
        {"a ingest,,read " H1, "line 1: after the name come rights"},
        {"a ingest,ingest " H1, "line 1: after the name come rights"},
        {"a ingest ,read " H1, "line 1: behind the rights come"},
        {"a ingest read " H1, "line 1: behind the rights come"},
        {"a ingest " H1 " # me", "line 1: behind the rights come"},
        {"a ingest " H1 " Prefix=x", "line 1: behind the rights come"},
        {"a ingest " H1 " " H2, "line 1: sha256= stands there twice"},
        {"a ingest " H1 " prefix=a prefix=a", "line 1: prefix= stands there twice"},
        {"a ingest sha256=", "line 1: sha256 must have 64"},
        {"a ingest " H1 "0", "line 1: sha256 must have 64"},
        {"a ingest sha256=g123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
         "line 1: sha256 must have 64"},
        {"a read " H1 " prefix=x", "line 1: prefix= and max-devices= limit what is sent"},
        {"a read max-devices=1 " H1, "line 1: prefix= and max-devices= limit what is sent"},
        {"a ingest " H1 " prefix=", "line 1: prefix must be"},
        {"a ingest " H1 " prefix=%", "line 1: prefix must be"},
        {"a ingest " H1 " prefix=%4", "line 1: prefix must be"},
        {"a ingest " H1 " prefix=%4\n1", "line 1: prefix must be"},
        {"a ingest " H1 " prefix=%g0", "line 1: prefix must be"},
        {"a ingest " H1 " prefix=%ff", "line 1: prefix must be"},
        {"a ingest " H1 " prefix=%e5%8c", "line 1: prefix must be"},
        {"a ingest " H1 " max-devices=", "line 1: max-devices must be"},
        {"a ingest " H1 " max-devices=-1", "line 1: max-devices must be"},
        {"a ingest " H1 " max-devices=0", "line 1: max-devices must be"},
        {"a ingest " H1 " max-devices=1k", "line 1: max-devices must be"},
        {"a ingest " H1 " max-devices=1000000001", "line 1: max-devices must be"},
        {"a ingest " H1 " max-devices=99999999999999999999999", "line 1: max-devices must be"},
        {"a/b ingest " H1, "line 1: a name has"},
        {"\xC3\xA4 ingest " H1, "line 1: a name has"},
        {N64 "x ingest " H1, "line 1: a name has"},
        {"tally_0123456789 ingest " H1, "line 1: a name has"},
        {"a ingest " H1 "\v", "line 1: a byte that is neither"},
        {"a ingest\r" H1, "line 1: a byte that is neither"},
        {"a ingest " H1 "\x7f", "line 1: a byte that is neither"},
        {"a ingest " H1 "\n#\na read " H2, "line 3: the name of line 1 again"},
        {"a ingest " H1 "\nb read " H1, "line 2: the hash of line 1 again"},
        {"b ingest " H1 "\na ingest " H1, "line 2: the hash of line 1 again"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        char error[ERROR_BYTES];
        struct token_file file;

        if (parse(bad[i].text, &file, error) != -EINVAL)
            fail_msg("\"%s\" was accepted", bad[i].text);
        if (strncmp(error, bad[i].error, strlen(bad[i].error)) != 0)
            fail_msg("\"%s\": %s", bad[i].text, error);
        assert_null(strstr(error, "0123456789"));
        assert_null(file.entries);
    }
}

static void parse_of_a_nul_byte_is_refused(void **state)
{
    static const char text[] = "a ingest " H1 " prefix=a\0b";
    char error[ERROR_BYTES];
    struct token_file file;

    (void)state;
    assert_int_equal(token_file_parse(&file, text, sizeof text - 1, error), -EINVAL);
}

static void parse_gives_the_fields(void **state)
{
    char error[ERROR_BYTES];
    struct token_file file;

    (void)state;
    assert_int_equal(
        parse("\na ingest,admin " H1 " prefix=n%2f%00x max-devices=12\nb read " H2, &file, error),
        0);
    assert_int_equal(file.count, 2);
    assert_string_equal(file.entries[0].name, "a");
    assert_int_equal(file.entries[0].rights, TOKEN_INGEST | TOKEN_ADMIN);
    assert_int_equal(file.entries[0].hash[0], 0x01);
    assert_int_equal(file.entries[0].hash[31], 0xef);
    assert_int_equal(file.entries[0].prefix_length, 4);
    assert_memory_equal(file.entries[0].prefix, "n/\0x", 5);
    assert_int_equal(file.entries[0].max_devices, 12);
    assert_int_equal(file.entries[0].line, 2);
    assert_int_equal(file.entries[1].rights, TOKEN_READ);
    assert_int_equal(file.entries[1].prefix_length, 0);
    assert_true(file.entries[1].max_devices == TOKEN_ENTRY_NO_LIMIT);
    token_file_fini(&file);
}

/* Whatever stands there, nothing is read that is not in the file (the sanitizers see to that). */
static void parse_of_every_beginning_of_a_file_ends(void **state)
{
    static const char text[] =
        "# c\na ingest,read " H1 " prefix=n%2f max-devices=12\r\nb read " H2 "\n";
    char error[ERROR_BYTES];

    (void)state;
    for (size_t length = 0; length < sizeof text; length++) {
        char *exact = malloc(length ? length : 1);
        struct token_file file;

        assert_non_null(exact);
        memcpy(exact, text, length);
        if (!token_file_parse(&file, exact, length, error))
            token_file_fini(&file);
        free(exact);
    }
}

static char *many_lines(size_t count, size_t *length)
{
    char *text = malloc(count * 96), *end = text;

    assert_non_null(text);
    for (size_t i = 0; i < count; i++)
        end += sprintf(end, "n%zu read sha256=%064zx\n", i, i);
    *length = (size_t)(end - text);
    return text;
}

static void parse_takes_as_many_tokens_as_it_says_and_no_more(void **state)
{
    char error[ERROR_BYTES];
    struct token_file file;
    size_t length;
    char *text = many_lines(TOKEN_FILE_MAX_TOKENS + 1, &length);

    (void)state;
    assert_int_equal(token_file_parse(&file, text, length, error), -EINVAL);
    assert_string_equal(error, "line 4097: more than 4096 tokens");
    *strstr(text, "n4096") = '\0';
    assert_int_equal(token_file_parse(&file, text, strlen(text), error), 0);
    assert_int_equal(file.count, TOKEN_FILE_MAX_TOKENS);
    token_file_fini(&file);
    free(text);
}

static void parse_of_a_line_that_is_too_long_is_refused(void **state)
{
    char text[TOKEN_ENTRY_LINE_BYTES + 3], error[ERROR_BYTES];
    struct token_file file;

    (void)state;
    memset(text, '#', sizeof text);
    text[TOKEN_ENTRY_LINE_BYTES] = '\n';
    assert_int_equal(token_file_parse(&file, text, sizeof text, error), 0);
    text[TOKEN_ENTRY_LINE_BYTES] = '#';
    assert_int_equal(token_file_parse(&file, text, sizeof text, error), -EINVAL);
}

static void parse_of_what_was_rendered_gives_the_same(void **state)
{
    static char prefix[TOKEN_ENTRY_PREFIX_BYTES + 1];
    struct token_entry entry = {.rights = 1, .prefix = prefix};
    uint64_t seed = 5;

    (void)state;
    memset(entry.name, 'n', TOKEN_ENTRY_NAME_BYTES);
    for (int round = 0; round < 2000; round++) {
        char line[TOKEN_ENTRY_LINE_BYTES + 2], error[ERROR_BYTES];
        struct token_file file;
        size_t length;

        bool limited;

        entry.rights = 1 + (unsigned)round % 7;
        limited = token_entry_is_limitable(entry.rights);
        entry.prefix_length = limited ? random_next(&seed) % (TOKEN_ENTRY_PREFIX_BYTES + 1) : 0;
        for (size_t i = 0; i < entry.prefix_length; i++)
            prefix[i] = (char)(random_next(&seed) % 128);
        entry.max_devices = round % 2 || !limited
                                ? TOKEN_ENTRY_NO_LIMIT
                                : random_next(&seed) % TOKEN_ENTRY_MAX_DEVICES + 1;
        entry.hash[round % TOKEN_HASH_BYTES] = (uint8_t)random_next(&seed);
        length = token_render_entry(&entry, line);
        assert_int_equal(length, strlen(line));
        if (parse(line, &file, error))
            fail_msg("%s: %s", line, error);
        assert_int_equal(file.count, 1);
        assert_string_equal(file.entries[0].name, entry.name);
        assert_int_equal(file.entries[0].rights, entry.rights);
        assert_memory_equal(file.entries[0].hash, entry.hash, TOKEN_HASH_BYTES);
        assert_int_equal(file.entries[0].prefix_length, entry.prefix_length);
        assert_memory_equal(file.entries[0].prefix, prefix, entry.prefix_length);
        assert_true(file.entries[0].max_devices == entry.max_devices);
        token_file_fini(&file);
    }
}

static void load_of_what_is_no_file_says_so(void **state)
{
    char error[ERROR_BYTES], pipe[] = "/tmp/test_token_file_XXXXXX";
    size_t length;

    (void)state;
    assert_null(token_file_load("/nowhere/at/all", &length, NULL, error));
    assert_string_equal(error, "No such file or directory");
    assert_null(token_file_load("/tmp", &length, NULL, error));
    assert_string_equal(error, "it is no regular file");
    assert_non_null(mkdtemp(pipe));
    assert_int_equal(chdir(pipe), 0);
    assert_int_equal(mkfifo("fifo", 0600), 0);
    assert_null(token_file_load("fifo", &length, NULL, error));
    assert_string_equal(error, "it is no regular file");
    unlink("fifo");
    rmdir(pipe);
}

static void secrets_have_their_form_and_differ(void **state)
{
    char one[TOKEN_SECRET_CHARS + 1], two[TOKEN_SECRET_CHARS + 1];
    uint8_t hash[TOKEN_HASH_BYTES];

    (void)state;
    assert_int_equal(token_secret_make(one), 0);
    assert_int_equal(token_secret_make(two), 0);
    assert_int_equal(strlen(one), TOKEN_SECRET_CHARS);
    assert_string_not_equal(one, two);
    assert_true(token_secret_is_one(one, TOKEN_SECRET_CHARS));
    assert_false(token_secret_is_one(one, TOKEN_SECRET_CHARS - 1));
    one[20] = '/';
    assert_false(token_secret_is_one(one, TOKEN_SECRET_CHARS));
    assert_int_equal(token_secret_hash("abc", 3, hash), 0); /* FIPS 180-2, B.1 */
    assert_memory_equal(hash, "\xba\x78\x16\xbf\x8f\x01\xcf\xea", 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parse_of_good_files_gives_their_tokens),
        cmocka_unit_test(parse_of_bad_files_says_which_line_and_why),
        cmocka_unit_test(parse_of_a_nul_byte_is_refused),
        cmocka_unit_test(parse_gives_the_fields),
        cmocka_unit_test(parse_of_every_beginning_of_a_file_ends),
        cmocka_unit_test(parse_takes_as_many_tokens_as_it_says_and_no_more),
        cmocka_unit_test(parse_of_a_line_that_is_too_long_is_refused),
        cmocka_unit_test(parse_of_what_was_rendered_gives_the_same),
        cmocka_unit_test(load_of_what_is_no_file_says_so),
        cmocka_unit_test(secrets_have_their_form_and_differ),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
