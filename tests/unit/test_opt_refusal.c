/* Options: what is refused, and how the message helps. */
#include "tests/unit/opt_run.h"

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

static void load_secret_as_a_flag_is_wiped_and_says_what_to_use(void **state)
{
    static const char *const forms[][2] = {{"--password=hunter2", NULL}, {"--password", "hunter2"}};

    for (size_t i = 0; i < ARRAY_LENGTH(forms); i++) {
        struct run *run = *state;

        run->argc = 1;
        for (size_t part = 0; part < 2 && forms[i][part]; part++)
            argument(run, forms[i][part]);
        load_fails(run, "set T_PASSWORD in the environment, or give --password-file");
        assert_null(strstr(run->error, "hunter2"));
        assert_null(run->options.password);
        assert_null(strstr(run->argv[1], "hunter2"));
        assert_string_equal(run->argv[run->argc - 1] + strlen(run->argv[run->argc - 1]) - 7,
                            "xxxxxxx");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(load_bad_number_names_option_and_range),
        RUN(load_bad_value_names_its_source),
        RUN(load_bad_choice_lists_choices),
        RUN(load_unknown_option_names_the_closest),
        RUN(load_missing_value_is_refused),
        RUN(load_secret_as_a_flag_is_wiped_and_says_what_to_use),
    };

    return cmocka_run_group_tests_name("opt_refusal", tests, NULL, NULL);
}
