/* Options: where a value comes from, and in which forms. */
#include "tests/unit/opt_run.h"

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

static void load_largest_number_is_taken(void **state)
{
    struct run *run = *state;

    argument(run, "--limit=18446744073709551615");
    load(run);
    assert_true(run->options.limit == UINT64_MAX);
}

static void load_command_flag_is_taken_on_the_command_line(void **state)
{
    struct run *run = *state;

    argument(run, "--check-config");
    load(run);
    assert_true(run->options.check);
}

static void load_secret_comes_by_environment_or_file(void **state)
{
    struct run *run = *state;

    config_file(run, "password = from-file\n");
    load(run);
    assert_string_equal(run->options.password, "from-file");
    setenv("T_PASSWORD", "from-environment", 1);
    load(run);
    assert_string_equal(run->options.password, "from-environment");
}

static const struct opt_row *row_of(const char *name)
{
    for (size_t i = 0; i < table.count; i++) {
        if (strcmp(rows[i].name, name) == 0)
            return &rows[i];
    }
    fail_msg("no row is called %s", name);
    return NULL;
}

static void exchange_moves_a_field_of_each_type_and_back(void **state)
{
    static const struct options blank;
    static const char *const names[] = {"host", "socket", "port", "log-format", "fast"};
    struct run *run = *state;
    struct options other = {
        .host = strdup("elsewhere"), .socket = strdup("s"), .port = 1, .format = 1, .fast = true};

    load(run);
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        const struct opt_row *row = row_of(names[i]);

        assert_false(opt_is_equal(row, &run->options, &other));
        opt_exchange(row, &run->options, &other);
        assert_false(opt_is_equal(row, &run->options, &other));
    }
    assert_string_equal(run->options.host, "elsewhere");
    assert_string_equal(other.host, "localhost");
    assert_null(other.socket);
    assert_int_equal(run->options.port, 1);
    assert_int_equal(other.port, 6379);
    assert_true(run->options.fast);
    assert_int_equal(run->options.limit, other.limit);
    opt_free(&table, &other);
    assert_memory_equal(&other, &blank, sizeof other);
}

static void is_equal_compares_strings_by_what_they_say(void **state)
{
    struct run *run = *state;
    struct options other = {.host = strdup("localhost")};

    load(run);
    assert_true(opt_is_equal(row_of("host"), &run->options, &other));
    assert_true(opt_is_equal(row_of("socket"), &run->options, &other)); /* neither has one */
    assert_false(opt_is_set(row_of("socket"), &run->options));
    assert_true(opt_is_set(row_of("host"), &run->options));
    assert_true(opt_is_set(row_of("port"), &other));
    opt_free(&table, &other);
}

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
        RUN(load_largest_number_is_taken),
        RUN(load_command_flag_is_taken_on_the_command_line),
        RUN(exchange_moves_a_field_of_each_type_and_back),
        RUN(is_equal_compares_strings_by_what_they_say),
        RUN(load_secret_comes_by_environment_or_file),
    };

    return cmocka_run_group_tests_name("opt", tests, NULL, NULL);
}
