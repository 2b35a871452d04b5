/* Options: the texts that are made from the table. */
#include "tests/unit/opt_run.h"

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

static void print_reloadable_is_marked(void **state)
{
    static const struct {
        void (*print)(const struct opt_table *, FILE *);
        const char *expected;
    } samples[] = {{opt_print_help, "some limit (0 or more) [default: 0] [reloadable]\n"},
                   {opt_print_markdown, "| some limit (reloadable) |\n"},
                   {opt_print_roff, "Default: 0.\nReloadable.\n"}};

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(samples); i++) {
        char *text = NULL;
        size_t size = 0;
        FILE *out = open_memstream(&text, &size);

        assert_non_null(out);
        samples[i].print(&table, out);
        fclose(out);
        assert_non_null(strstr(text, samples[i].expected));
        assert_null(strstr(strstr(text, "eloadable") + 1, "eloadable"));
        free(text);
    }
}

/* A secret has no flag, so no text may show one. */
static void print_secret_shows_no_flag(void **state)
{
    void (*const printers[])(const struct opt_table *,
                             FILE *) = {opt_print_help, opt_print_markdown, opt_print_roff};

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(printers); i++) {
        char *text = NULL;
        size_t size = 0;
        FILE *out = open_memstream(&text, &size);

        assert_non_null(out);
        printers[i](&table, out);
        fclose(out);
        assert_non_null(strstr(text, "T_PASSWORD"));
        assert_null(strstr(text, "--password "));
        assert_null(strstr(text, "--password`"));
        assert_null(strstr(text, "\\-\\-password\\fR"));
        free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(print_help_and_tables_name_every_option),
        cmocka_unit_test(print_reloadable_is_marked),
        cmocka_unit_test(print_secret_shows_no_flag),
    };

    return cmocka_run_group_tests_name("opt_help", tests, NULL, NULL);
}
