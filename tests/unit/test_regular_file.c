/* Reading a file that a user named: its first bytes, or why there are none; never a wait. */
#include "common/regular_file.h"
#include "tests/unit/files.h"
#include "tests/unit/unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char directory[] = "/tmp/test_regular_file_XXXXXX";
static char path[64];

static int enter(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/file", directory);
    return 0;
}

static int leave(void **state)
{
    (void)state;
    return rmdir(directory);
}

static void read_gives_the_whole_or_as_much_as_there_is_room(void **state)
{
    static const char text[] = "one\0two\n";
    char bytes[16];

    (void)state;
    write_file(path, text, sizeof text);
    for (size_t room = 0; room <= sizeof bytes; room++) {
        size_t due = room < sizeof text ? room : sizeof text;

        memset(bytes, 'x', sizeof bytes);
        assert_int_equal(regular_file_read(path, bytes, room, NULL), due);
        assert_memory_equal(bytes, text, due);
        for (size_t i = due; i < sizeof bytes; i++)
            assert_int_equal(bytes[i], 'x');
    }
    assert_int_equal(unlink(path), 0);
}

static void read_of_an_empty_file_gives_nothing(void **state)
{
    char bytes[1];

    (void)state;
    write_file(path, "", 0);
    assert_int_equal(regular_file_read(path, bytes, 1, NULL), 0);
    assert_int_equal(unlink(path), 0);
}

static void read_tells_the_permissions(void **state)
{
    unsigned mode = 0;
    char bytes[1];

    (void)state;
    write_file(path, "x", 1);
    assert_int_equal(chmod(path, 0640), 0);
    assert_int_equal(regular_file_read(path, bytes, 1, &mode), 1);
    assert_int_equal(mode, 0640);
    assert_int_equal(unlink(path), 0);
}

static void read_of_what_is_no_regular_file_fails_at_once(void **state)
{
    unsigned mode = 42;
    char bytes[1];

    (void)state;
    assert_int_equal(regular_file_read(path, bytes, 1, &mode), -ENOENT);
    assert_int_equal(regular_file_read(directory, bytes, 1, &mode), -EINVAL);
    assert_int_equal(regular_file_read("/dev/zero", bytes, 1, &mode), -EINVAL);
    assert_int_equal(mkfifo(path, 0600), 0); /* nobody writes it */
    assert_int_equal(regular_file_read(path, bytes, 1, &mode), -EINVAL);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mode, 42);
}

static void open_reads_the_whole(void **state)
{
    char bytes[8];
    FILE *file;

    (void)state;
    write_file(path, "two\nlines", 9);
    file = regular_file_open(path);
    assert_non_null(file);
    assert_string_equal(fgets(bytes, sizeof bytes, file), "two\n");
    assert_string_equal(fgets(bytes, sizeof bytes, file), "lines");
    assert_int_equal(fclose(file), 0);
    assert_int_equal(unlink(path), 0);
}

static void check_not_opened(const char *name, int error, const char *says)
{
    assert_null(regular_file_open(name));
    assert_int_equal(errno, error);
    assert_string_equal(regular_file_strerror(error), says);
}

static void open_of_what_is_no_regular_file_fails_at_once(void **state)
{
    (void)state;
    check_not_opened(path, ENOENT, "No such file or directory");
    check_not_opened(directory, EINVAL, "it is no regular file");
    check_not_opened("/dev/zero", EINVAL, "it is no regular file");
    assert_int_equal(mkfifo(path, 0600), 0);
    check_not_opened(path, EINVAL, "it is no regular file");
    assert_int_equal(unlink(path), 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(read_gives_the_whole_or_as_much_as_there_is_room),
        cmocka_unit_test(read_of_an_empty_file_gives_nothing),
        cmocka_unit_test(read_tells_the_permissions),
        cmocka_unit_test(read_of_what_is_no_regular_file_fails_at_once),
        cmocka_unit_test(open_reads_the_whole),
        cmocka_unit_test(open_of_what_is_no_regular_file_fails_at_once),
    };

    return cmocka_run_group_tests(tests, enter, leave);
}
