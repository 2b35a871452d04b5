/* Options: the configuration file. */
#include "tests/unit/opt_run.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(load_file_syntax_is_forgiving_about_space),
        RUN(load_file_bad_line_is_named),
        RUN(load_file_unknown_name_is_named_with_its_line),
        RUN(load_file_with_command_option_is_refused),
        RUN(load_file_missing_says_why),
    };

    return cmocka_run_group_tests_name("opt_file", tests, NULL, NULL);
}
