/* The two text forms of metrics, byte by byte. */
#include "http/exposition.h"
#include "http/text.h"
#include "tests/unit/unit.h"

#include <string.h>

static char buffer[4096];

/* Writes what `write` does in a dialect, and returns the text, which may hold NULs. */
static const char *rendered(void (*write)(struct exposition *), enum exposition_dialect dialect)
{
    struct text_writer writer;
    struct exposition exposition;

    memset(buffer, 0, sizeof buffer);
    text_start(&writer, buffer, sizeof buffer - 1, NULL, NULL);
    exposition_start(&exposition, &writer, dialect);
    write(&exposition);
    exposition_end(&exposition);
    assert_int_equal(text_finish(&writer), 0);
    return buffer;
}

static void assert_forms(void (*write)(struct exposition *), const char *prometheus,
                         const char *openmetrics)
{
    assert_string_equal(rendered(write, EXPOSITION_PROMETHEUS), prometheus);
    assert_string_equal(rendered(write, EXPOSITION_OPENMETRICS), openmetrics);
}

static void write_nothing(struct exposition *e)
{
    (void)e;
}

static void end_of_nothing_is_only_said_in_openmetrics(void **state)
{
    (void)state;
    assert_forms(write_nothing, "", "# EOF\n");
}

static void write_counter(struct exposition *e)
{
    const struct exposition_label why = exposition_label("why", "late");

    exposition_family(e, "lost", EXPOSITION_COUNTER, "What was lost.");
    exposition_sample(e, NULL, 0, UINT64_MAX, 0);
    exposition_sample(e, &why, 1, 0, 0);
}

static void counter_ends_in_total(void **state)
{
    (void)state;
    assert_forms(write_counter,
                 "# HELP lost_total What was lost.\n"
                 "# TYPE lost_total counter\n"
                 "lost_total 18446744073709551615\n"
                 "lost_total{why=\"late\"} 0\n",
                 "# HELP lost What was lost.\n"
                 "# TYPE lost counter\n"
                 "lost_total 18446744073709551615\n"
                 "lost_total{why=\"late\"} 0\n"
                 "# EOF\n");
}

static void write_gauge(struct exposition *e)
{
    exposition_family(e, "taken_seconds", EXPOSITION_GAUGE, "Time.");
    exposition_sample(e, NULL, 0, 1500, EXPOSITION_MS);
}

static void unit_is_told_in_openmetrics(void **state)
{
    (void)state;
    assert_forms(write_gauge,
                 "# HELP taken_seconds Time.\n"
                 "# TYPE taken_seconds gauge\n"
                 "taken_seconds 1.5\n",
                 "# HELP taken_seconds Time.\n"
                 "# TYPE taken_seconds gauge\n"
                 "# UNIT taken_seconds seconds\n"
                 "taken_seconds 1.5\n"
                 "# EOF\n");
}

static void write_info(struct exposition *e)
{
    const struct exposition_label labels[] = {exposition_label("a", "1"),
                                              exposition_label("b", "2")};

    exposition_family(e, "made", EXPOSITION_INFO, "How.");
    exposition_sample(e, labels, 2, 1, 0);
}

static void info_is_a_gauge_where_there_is_no_such_type(void **state)
{
    (void)state;
    assert_forms(write_info,
                 "# HELP made_info How.\n"
                 "# TYPE made_info gauge\n"
                 "made_info{a=\"1\",b=\"2\"} 1\n",
                 "# HELP made How.\n"
                 "# TYPE made info\n"
                 "made_info{a=\"1\",b=\"2\"} 1\n"
                 "# EOF\n");
}

static void write_histogram(struct exposition *e)
{
    static const struct histogram_bounds bounds = {.count = 3,
                                                   .upper = {500000, 1000000000, 5000000000}};
    struct histogram histogram = {0};

    histogram_add(&histogram, &bounds, 400000);
    histogram_add(&histogram, &bounds, 1000000000);
    histogram_add(&histogram, &bounds, 6000000001);
    exposition_family(e, "took_seconds", EXPOSITION_HISTOGRAM, "Time.");
    exposition_histogram(e, &histogram, &bounds, EXPOSITION_NS);
}

static void histogram_has_the_same_bounds_in_both_forms(void **state)
{
#define SAMPLES                                                                                    \
    "took_seconds_bucket{le=\"0.0005\"} 1\n"                                                       \
    "took_seconds_bucket{le=\"1.0\"} 2\n"                                                          \
    "took_seconds_bucket{le=\"5.0\"} 2\n"                                                          \
    "took_seconds_bucket{le=\"+Inf\"} 3\n"                                                         \
    "took_seconds_sum 7.000400001\n"                                                               \
    "took_seconds_count 3\n"

    (void)state;
    assert_forms(write_histogram,
                 "# HELP took_seconds Time.\n"
                 "# TYPE took_seconds histogram\n" SAMPLES,
                 "# HELP took_seconds Time.\n"
                 "# TYPE took_seconds histogram\n"
                 "# UNIT took_seconds seconds\n" SAMPLES "# EOF\n");
}

static void sample_shows_every_digit_and_no_needless_zero(void **state)
{
    static const struct {
        uint64_t value;
        unsigned decimals;
        const char *text;
    } rows[] = {
        {0, 0, "x 0\n"},
        {0, 9, "x 0\n"},
        {1, 9, "x 0.000000001\n"},
        {10, 9, "x 0.00000001\n"},
        {1000000000, 9, "x 1\n"},
        {1050, 3, "x 1.05\n"},
        {100, 2, "x 1\n"},
        {176372734512, 2, "x 1763727345.12\n"},
        {UINT64_MAX, 0, "x 18446744073709551615\n"},
        {UINT64_MAX, 9, "x 18446744073.709551615\n"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct text_writer writer;
        struct exposition e;

        memset(buffer, 0, sizeof buffer);
        text_start(&writer, buffer, sizeof buffer - 1, NULL, NULL);
        exposition_start(&e, &writer, EXPOSITION_PROMETHEUS);
        e.name = "x";
        e.type = EXPOSITION_GAUGE;
        exposition_sample(&e, NULL, 0, rows[i].value, rows[i].decimals);
        assert_string_equal(buffer, rows[i].text);
    }
}

static void write_odd_labels(struct exposition *e)
{
    static const char *const odd[] = {"",    "\\",         "\"",       "\n",
                                      "\\n", "a\\b\"c\nd", "\r\t{}=,", "\u00e9"};
    const struct exposition_label with_nul = {"l", "\0a\0", 3};

    exposition_family(e, "x", EXPOSITION_GAUGE, "Odd.");
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
        const struct exposition_label label = exposition_label("l", odd[i]);

        exposition_sample(e, &label, 1, i, 0);
    }
    exposition_sample(e, &with_nul, 1, 8, 0);
}

static void label_escapes_three_bytes_and_no_others(void **state)
{
    static const char expected[] = "# HELP x Odd.\n"
                                   "# TYPE x gauge\n"
                                   "x{l=\"\"} 0\n"
                                   "x{l=\"\\\\\"} 1\n"
                                   "x{l=\"\\\"\"} 2\n"
                                   "x{l=\"\\n\"} 3\n"
                                   "x{l=\"\\\\n\"} 4\n"
                                   "x{l=\"a\\\\b\\\"c\\nd\"} 5\n"
                                   "x{l=\"\r\t{}=,\"} 6\n"
                                   "x{l=\"\u00e9\"} 7\n"
                                   "x{l=\"\0a\0\"} 8\n";

    (void)state;
    assert_memory_equal(rendered(write_odd_labels, EXPOSITION_PROMETHEUS), expected,
                        sizeof expected);
}

static void content_type_names_form_and_version(void **state)
{
    (void)state;
    assert_string_equal(exposition_content_type(EXPOSITION_PROMETHEUS),
                        "text/plain; version=0.0.4; charset=utf-8");
    assert_string_equal(exposition_content_type(EXPOSITION_OPENMETRICS),
                        "application/openmetrics-text; version=1.0.0; charset=utf-8");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(end_of_nothing_is_only_said_in_openmetrics),
        cmocka_unit_test(counter_ends_in_total),
        cmocka_unit_test(unit_is_told_in_openmetrics),
        cmocka_unit_test(info_is_a_gauge_where_there_is_no_such_type),
        cmocka_unit_test(histogram_has_the_same_bounds_in_both_forms),
        cmocka_unit_test(sample_shows_every_digit_and_no_needless_zero),
        cmocka_unit_test(label_escapes_three_bytes_and_no_others),
        cmocka_unit_test(content_type_names_form_and_version),
    };

    return cmocka_run_group_tests_name("exposition", tests, NULL, NULL);
}
