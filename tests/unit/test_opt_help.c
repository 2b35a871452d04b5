/* Options: the texts that are made from the table. */
#include "tests/unit/opt_run.h"

typedef void printer(const struct opt_table *, FILE *);

/* What it prints of the table, to be freed. */
static char *printed_of(const struct opt_table *printable, printer *print)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    assert_non_null(out);
    print(printable, out);
    fclose(out);
    return text;
}

static char *printed(printer *print)
{
    return printed_of(&table, print);
}

static void print_help_and_tables_name_every_option(void **state)
{
    printer *const printers[] = {opt_print_help, opt_print_markdown};

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(printers); i++) {
        char *text = printed(printers[i]);

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
        printer *print;
        const char *expected;
    } samples[] = {{opt_print_help, "some limit (0 or more) [default: 0] [reloadable]\n"},
                   {opt_print_markdown, "| some limit (reloadable) |\n"},
                   {opt_print_roff, "Default: 0.\nReloadable.\n"}};

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(samples); i++) {
        char *text = printed(samples[i].print);

        assert_non_null(strstr(text, samples[i].expected));
        assert_null(strstr(strstr(text, "eloadable") + 1, "eloadable"));
        free(text);
    }
}

/* A secret has no flag, so no text may show one. */
static void print_secret_shows_no_flag(void **state)
{
    printer *const printers[] = {opt_print_help, opt_print_markdown, opt_print_roff};

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(printers); i++) {
        char *text = printed(printers[i]);

        assert_non_null(strstr(text, "T_PASSWORD"));
        assert_null(strstr(text, "--password "));
        assert_null(strstr(text, "--password`"));
        assert_null(strstr(text, "\\-\\-password\\fR"));
        free(text);
    }
}

/* A program without a configuration file has no place in it for a secret. */
static void print_secret_names_no_file_where_there_is_none(void **state)
{
    printer *const printers[] = {opt_print_help, opt_print_markdown, opt_print_roff};
    struct opt_row row = rows[0];
    const struct opt_table without = {.synopsis = "usage: t", .rows = &row, .count = 1};

    (void)state;
    row.traits = OPT_SECRET;
    for (size_t i = 0; i < ARRAY_LENGTH(printers); i++) {
        char *with = printed(printers[i]), *text = printed_of(&without, printers[i]);

        assert_non_null(strstr(with, "configuration file: "));
        assert_null(strstr(text, "configuration file"));
        assert_non_null(strstr(text, "T_HOST"));
        free(with);
        free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(print_help_and_tables_name_every_option),
        cmocka_unit_test(print_reloadable_is_marked),
        cmocka_unit_test(print_secret_shows_no_flag),
        cmocka_unit_test(print_secret_names_no_file_where_there_is_none),
    };

    return cmocka_run_group_tests_name("opt_help", tests, NULL, NULL);
}
