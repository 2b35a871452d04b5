/* Options: where a value comes from, what is refused and how, and what becomes of secrets. */
#include "common/compiler.h"
#include "common/opt.h"
#include "tests/unit/unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct options {
    char *host;
    char *socket;
    uint64_t port;
    uint64_t limit;
    int format;
    char *password;
    char *config;
    bool check;
    bool fast;
};

static const char *const formats[] = {"text", "json", NULL};

#define AT(field) offsetof(struct options, field)

/* name, environment, type, field, default, range, choices, metavar, help, traits */
static const struct opt_row rows[] = {
    {"host", "T_HOST", OPT_STRING, AT(host), "localhost", 0, 0, NULL, "HOST", "the host", 0},
    {"socket", "T_SOCKET", OPT_STRING, AT(socket), NULL, 0, 0, NULL, "PATH", "the socket", 0},
    {"port", "T_PORT", OPT_NUMBER, AT(port), "6379", 1, 65535, NULL, "N", "the port", 0},
    {"limit", NULL, OPT_NUMBER, AT(limit), "0", 0, UINT64_MAX, NULL, "N", "some limit", 0},
    {"log-format", "T_FORMAT", OPT_CHOICE, AT(format), "text", 0, 0, formats, "F", "the format", 0},
    {"password", "T_PASSWORD", OPT_STRING, AT(password), NULL, 0, 0, NULL, "P", "a secret",
     OPT_SECRET},
    {"config", NULL, OPT_STRING, AT(config), NULL, 0, 0, NULL, "FILE", "the configuration file",
     OPT_COMMAND | OPT_FILE},
    {"check-config", NULL, OPT_FLAG, AT(check), NULL, 0, 0, NULL, NULL, "check, and stop",
     OPT_COMMAND},
    {"fast", "T_FAST", OPT_FLAG, AT(fast), NULL, 0, 0, NULL, NULL, "go fast", 0},
};

static const struct opt_table table = {
    .program = "t", .synopsis = "usage: t", .rows = rows, .count = ARRAY_LENGTH(rows)};

/* One call of opt_load(): arguments it may write to, and what came of it. */
struct run {
    struct options options;
    char arguments[8][96];
    char *argv[9];
    int argc;
    char error[OPT_ERROR_BYTES];
    char path[32]; /* of the configuration file; "" if there is none */
};

static int start(void **state)
{
    struct run *run = calloc(1, sizeof *run);

    if (!run)
        return -1;
    run->argv[run->argc++] = strcpy(run->arguments[0], "t");
    *state = run;
    return 0;
}

static int finish(void **state)
{
    static const char *const names[] = {"T_HOST",   "T_SOCKET",   "T_PORT",
                                        "T_FORMAT", "T_PASSWORD", "T_FAST"};
    struct run *run = *state;

    for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
        unsetenv(names[i]);
    if (*run->path)
        unlink(run->path);
    opt_free(&table, &run->options);
    free(run);
    return 0;
}

static void argument(struct run *run, const char *text)
{
    assert_in_range(run->argc, 1, ARRAY_LENGTH(run->arguments) - 1);
    assert_in_range(strlen(text), 0, sizeof run->arguments[0] - 1);
    run->argv[run->argc] = strcpy(run->arguments[run->argc], text);
    run->argc++;
}

/* Writes a configuration file and names it by --config. */
static void config_file(struct run *run, const char *text)
{
    FILE *file;

    strcpy(run->path, "/tmp/test_opt.XXXXXX");
    file = fdopen(mkstemp(run->path), "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    argument(run, "--config");
    argument(run, run->path);
}

static int load_again(struct run *run)
{
    opt_free(&table, &run->options);
    return opt_load(&table, &run->options, run->argc, run->argv, run->error);
}

static void load(struct run *run)
{
    if (load_again(run))
        fail_msg("refused: %s", run->error);
}

/* Loads, expects a refusal, and checks that the message is one line with `part` in it. */
static void load_fails(struct run *run, const char *part)
{
    assert_int_equal(load_again(run), -EINVAL);
    assert_null(strchr(run->error, '\n'));
    if (!strstr(run->error, part))
        fail_msg("\"%s\" does not say \"%s\"", run->error, part);
}

static void load_nothing_given_takes_defaults(void **state)
{
    struct run *run = *state;

    load(run);
    assert_string_equal(run->options.host, "localhost");
    assert_null(run->options.socket);
    assert_int_equal(run->options.port, 6379);
    assert_int_equal(run->options.format, 0);
    assert_false(run->options.fast);
}

static void load_all_sources_given_prefers_flag_then_environment_then_file(void **state)
{
    struct run *run = *state;

    config_file(run, "host = from-file\nport = 1111\nsocket = from-file\nlog-format = json\n");
    setenv("T_HOST", "from-environment", 1);
    setenv("T_PORT", "2222", 1);
    argument(run, "--host=from-flag");
    load(run);
    assert_string_equal(run->options.host, "from-flag");
    assert_int_equal(run->options.port, 2222);
    assert_string_equal(run->options.socket, "from-file");
    assert_int_equal(run->options.format, 1);
    assert_int_equal(run->options.limit, 0);
}

static void load_weaker_source_bad_is_overruled(void **state)
{
    struct run *run = *state;

    setenv("T_PORT", "nonsense", 1);
    argument(run, "--port=7");
    load(run);
    assert_int_equal(run->options.port, 7);
}

static void load_empty_environment_counts_as_unset(void **state)
{
    struct run *run = *state;

    setenv("T_PORT", "", 1);
    setenv("T_HOST", "", 1);
    load(run);
    assert_int_equal(run->options.port, 6379);
    assert_string_equal(run->options.host, "localhost");
}

static void load_both_flag_forms_are_taken(void **state)
{
    struct run *run = *state;

    argument(run, "--host");
    argument(run, "--odd--value");
    argument(run, "--socket=a=b");
    argument(run, "--port=1");
    argument(run, "--port");
    argument(run, "65535");
    argument(run, "--fast");
    load(run);
    assert_string_equal(run->options.host, "--odd--value");
    assert_string_equal(run->options.socket, "a=b");
    assert_int_equal(run->options.port, 65535);
    assert_true(run->options.fast);
}

static void load_empty_value_is_an_empty_string(void **state)
{
    struct run *run = *state;

    argument(run, "--host=");
    load(run);
    assert_string_equal(run->options.host, "");
}

static void load_boolean_words_are_taken(void **state)
{
    struct run *run = *state;

    setenv("T_FAST", "1", 1);
    load(run);
    assert_true(run->options.fast);
    argument(run, "--fast=false");
    load(run);
    assert_false(run->options.fast);
    argument(run, "--fast=maybe");
    load_fails(run, "--fast: \"maybe\" is neither true nor false");
}

static void load_bad_number_names_option_and_range(void **state)
{
    static const char *const bad[] = {
        "0", "65536", "-1", "+5", " 5", "5 ", "0x10", "many", "1.5", "99999999999999999999", ""};

    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        struct run *run = *state;
        char flag[64];

        run->argc = 1;
        snprintf(flag, sizeof flag, "--port=%s", bad[i]);
        argument(run, flag);
        load_fails(run, "--port: \"");
        load_fails(run, "\" is not a whole number from 1 to 65535");
    }
}

static void load_largest_number_is_taken(void **state)
{
    struct run *run = *state;

    argument(run, "--limit=18446744073709551615");
    load(run);
    assert_true(run->options.limit == UINT64_MAX);
}

static void load_bad_value_names_its_source(void **state)
{
    struct run *run = *state;

    setenv("T_PORT", "x", 1);
    load_fails(run, "T_PORT (environment, for --port): \"x\"");
    unsetenv("T_PORT");
    config_file(run, "port = y\n");
    load_fails(run, "port (configuration file): \"y\"");
}

static void load_bad_choice_lists_choices(void **state)
{
    struct run *run = *state;

    argument(run, "--log-format=xml");
    load_fails(run, "--log-format: \"xml\" is not one of text, json");
}

static void load_unknown_option_names_the_closest(void **state)
{
    static const char *const typos[][2] = {
        {"--prot=1", "unknown option --prot; did you mean --port?"},
        {"--log-fromat=json", "unknown option --log-fromat; did you mean --log-format?"},
        {"--pasword=hunter2", "unknown option --pasword; did you mean --password?"},
        {"--", "unexpected argument \"--\""},
        {"-p", "unexpected argument \"-p\""},
        {"port", "unexpected argument \"port\""},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(typos); i++) {
        struct run *run = *state;

        run->argc = 1;
        argument(run, typos[i][0]);
        load_fails(run, typos[i][1]);
        assert_null(strstr(run->error, "hunter2"));
    }
}

static void load_missing_value_is_refused(void **state)
{
    struct run *run = *state;

    argument(run, "--port");
    load_fails(run, "--port needs a value: --port N");
}

static void load_secret_is_wiped_from_arguments(void **state)
{
    struct run *run = *state;

    argument(run, "--password=hunter2");
    argument(run, "--password");
    argument(run, "s3cret");
    argument(run, "--host=stays");
    load(run);
    assert_string_equal(run->options.password, "s3cret");
    assert_string_equal(run->argv[1], "--password=xxxxxxx");
    assert_string_equal(run->argv[2], "--password");
    assert_string_equal(run->argv[3], "xxxxxx");
    assert_string_equal(run->argv[4], "--host=stays");
}

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

static void load_command_flag_is_taken_on_the_command_line(void **state)
{
    struct run *run = *state;

    argument(run, "--check-config");
    load(run);
    assert_true(run->options.check);
}

static void print_help_and_tables_name_every_option(void **state)
{
    void (*const printers[])(const struct opt_table *, FILE *) = {opt_print_help,
                                                                  opt_print_markdown};

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(printers); i++) {
        char *text = NULL;
        size_t size = 0;
        FILE *out = open_memstream(&text, &size);

        assert_non_null(out);
        printers[i](&table, out);
        fclose(out);
        for (size_t row = 0; row < table.count; row++) {
            assert_non_null(strstr(text, rows[row].name));
            assert_non_null(strstr(text, rows[row].help));
        }
        assert_non_null(strstr(text, "1 to 65535"));
        free(text);
    }
}

#define RUN(test) cmocka_unit_test_setup_teardown(test, start, finish)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(load_nothing_given_takes_defaults),
        RUN(load_all_sources_given_prefers_flag_then_environment_then_file),
        RUN(load_weaker_source_bad_is_overruled),
        RUN(load_empty_environment_counts_as_unset),
        RUN(load_both_flag_forms_are_taken),
        RUN(load_empty_value_is_an_empty_string),
        RUN(load_boolean_words_are_taken),
        RUN(load_bad_number_names_option_and_range),
        RUN(load_largest_number_is_taken),
        RUN(load_bad_value_names_its_source),
        RUN(load_bad_choice_lists_choices),
        RUN(load_unknown_option_names_the_closest),
        RUN(load_missing_value_is_refused),
        RUN(load_secret_is_wiped_from_arguments),
        RUN(load_file_syntax_is_forgiving_about_space),
        RUN(load_file_bad_line_is_named),
        RUN(load_file_unknown_name_is_named_with_its_line),
        RUN(load_file_with_command_option_is_refused),
        RUN(load_file_missing_says_why),
        RUN(load_command_flag_is_taken_on_the_command_line),
        RUN(print_help_and_tables_name_every_option),
    };

    return cmocka_run_group_tests_name("opt", tests, NULL, NULL);
}
