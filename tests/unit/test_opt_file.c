/* Options: the configuration file. */
#include "tests/unit/opt_run.h"

#include <sys/stat.h>

static void load_file_syntax_is_forgiving_about_space(void **state)
{
    struct run *run = *state;

    config_file(run, "# a comment\n\n   \t\n  host\t= a b = c  \r\nport=9\n  # more\nfast = true\n"
                     "socket = # no comment here\nlimit = 3");
    load(run);
    assert_string_equal(run->options.host, "a b = c");
    assert_int_equal(run->options.port, 9);
    assert_true(run->options.fast);
    assert_string_equal(run->options.socket, "# no comment here");
    assert_int_equal(run->options.limit, 3);
}

static void load_file_bad_line_is_named(void **state)
{
    struct run *run = *state;

    config_file(run, "host = a\nport\n");
    load_fails(run, ":2: expected \"name = value\"");
    assert_non_null(strstr(run->error, run->path));
}

static void load_file_unknown_name_is_named_with_its_line(void **state)
{
    struct run *run = *state;

    config_file(run, "\nprot = 5\n");
    load_fails(run, ":2: unknown option prot; did you mean port?");
}

static void load_file_with_command_option_is_refused(void **state)
{
    struct run *run = *state;

    config_file(run, "check-config = true\n");
    load_fails(run, ":1: unknown option check-config");
    unlink(run->path);
    run->argc = 1;
    config_file(run, "config = other.conf\n");
    load_fails(run, ":1: unknown option config");
}

static void load_file_missing_says_why(void **state)
{
    struct run *run = *state;

    argument(run, "--config=/nonexistent/t.conf");
    load_fails(run, "cannot read configuration file /nonexistent/t.conf: No such file");
}

/* Nobody writes the FIFO, and reading would wait for that. */
static void load_file_that_is_no_regular_one_is_refused(void **state)
{
    struct run *run = *state;

    config_file(run, "");
    assert_int_equal(unlink(run->path), 0);
    assert_int_equal(mkfifo(run->path, 0600), 0);
    load_fails(run, ": it is no regular file");
    argument(run, "--config=/tmp");
    load_fails(run, "configuration file /tmp: it is no regular file");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(load_file_syntax_is_forgiving_about_space),
        RUN(load_file_bad_line_is_named),
        RUN(load_file_unknown_name_is_named_with_its_line),
        RUN(load_file_with_command_option_is_refused),
        RUN(load_file_missing_says_why),
        RUN(load_file_that_is_no_regular_one_is_refused),
    };

    return cmocka_run_group_tests_name("opt_file", tests, NULL, NULL);
}
