/* The first line of a secret's file, and what is refused. */
#include "common/compiler.h"
#include "common/secret.h"
#include "tests/unit/files.h"
#include "tests/unit/unit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BYTES(text) text, sizeof text - 1

static char path[] = "/tmp/test_secret.XXXXXX";

static int make_file(void **state)
{
    (void)state;
    write_new_file(path, "", 0);
    return 0;
}

static int remove_file(void **state)
{
    (void)state;
    return unlink(path);
}

static void read_gives_the_first_line(void **state)
{
    static const struct {
        const char *bytes;
        size_t length;
        const char *secret;
    } table[] = {
        {BYTES("hunter2"), "hunter2"},
        {BYTES("hunter2\n"), "hunter2"},
        {BYTES("hunter2\r\n"), "hunter2"},
        {BYTES("hunter2\nsecond line\n"), "hunter2"},
        {BYTES("hunter2\nwith a \0 NUL\n"), "hunter2"},
        {BYTES(" with spaces \n"), " with spaces "},
        {BYTES("\xff\x01"), "\xff\x01"},
    };
    char secret[SECRET_BYTES], error[ERROR_BYTES];

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        write_file(path, table[i].bytes, table[i].length);
        assert_int_equal(secret_read(path, secret, error), 0);
        assert_string_equal(secret, table[i].secret);
    }
}

static void read_what_is_no_secret_says_why(void **state)
{
    static const struct {
        const char *bytes;
        size_t length;
        const char *why;
    } table[] = {
        {BYTES(""), "it is empty"},
        {BYTES("\n"), "its first line is empty"},
        {BYTES("\r\n"), "its first line is empty"},
        {BYTES("\nsecond"), "its first line is empty"},
        {BYTES("hun\0ter2\n"), "its first line holds a NUL byte"},
    };
    char secret[SECRET_BYTES], error[ERROR_BYTES];

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        write_file(path, table[i].bytes, table[i].length);
        assert_int_equal(secret_read(path, secret, error), -EINVAL);
        assert_string_equal(error, table[i].why);
    }
}

static void read_takes_1023_bytes_and_no_more(void **state)
{
    char line[SECRET_BYTES + 1], secret[SECRET_BYTES], error[ERROR_BYTES];

    (void)state;
    memset(line, 'x', sizeof line);
    write_file(path, line, SECRET_BYTES - 1);
    assert_int_equal(secret_read(path, secret, error), 0);
    assert_int_equal(strlen(secret), SECRET_BYTES - 1);
    line[SECRET_BYTES - 1] = '\n';
    write_file(path, line, SECRET_BYTES);
    assert_int_equal(secret_read(path, secret, error), 0);
    assert_int_equal(strlen(secret), SECRET_BYTES - 1);
    line[SECRET_BYTES - 1] = 'x';
    for (size_t length = SECRET_BYTES; length <= sizeof line; length++) {
        write_file(path, line, length);
        assert_int_equal(secret_read(path, secret, error), -EINVAL);
        assert_string_equal(error, "its first line is longer than 1023 bytes");
    }
}

static void read_never_waits_for_a_writer(void **state)
{
    char fifo[64], secret[SECRET_BYTES], error[ERROR_BYTES];

    (void)state;
    snprintf(fifo, sizeof fifo, "%s.fifo", path);
    assert_int_equal(mkfifo(fifo, 0600), 0);
    assert_int_equal(secret_read(fifo, secret, error), -EINVAL);
    assert_string_equal(error, "it is no regular file");
    assert_int_equal(unlink(fifo), 0);
    assert_int_equal(secret_read("/tmp", secret, error), -EINVAL);
    assert_int_equal(secret_read(fifo, secret, error), -ENOENT);
    assert_string_equal(error, "No such file or directory");
}

static void wipe_leaves_nothing(void **state)
{
    static const char nothing[SECRET_BYTES];
    char secret[SECRET_BYTES], error[ERROR_BYTES];

    (void)state;
    write_file(path, "hunter2\n", 8);
    assert_int_equal(secret_read(path, secret, error), 0);
    secret_wipe(secret);
    assert_memory_equal(secret, nothing, SECRET_BYTES);
    write_file(path, "\nhunter2\n", 9);
    assert_int_equal(secret_read(path, secret, error), -EINVAL);
    assert_memory_equal(secret, nothing, SECRET_BYTES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(read_gives_the_first_line),
        cmocka_unit_test(read_what_is_no_secret_says_why),
        cmocka_unit_test(read_takes_1023_bytes_and_no_more),
        cmocka_unit_test(read_never_waits_for_a_writer),
        cmocka_unit_test(wipe_leaves_nothing),
    };

    return cmocka_run_group_tests_name("secret", tests, make_file, remove_file);
}
