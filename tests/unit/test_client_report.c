/* What the user is shown: failures, summary, JSON, progress bar. */
#include "client/progress.h"
#include "client/report.h"
#include "tests/unit/unit.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

static void add_failed(struct report *report, enum report_kind kind, enum grpc_status status,
                       const char *message, int received)
{
    struct rpc_outcome outcome = {.status = status};

    snprintf(outcome.message, sizeof outcome.message, "%s", message);
    outcome.told = received >= 0;
    outcome.received = received >= 0 ? (uint64_t)received : 0;
    report_add_failure(report, kind, &outcome, 100);
}

static char *printed(const struct report *report, void (*print)(const struct report *, FILE *))
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    print(report, out);
    fclose(out);
    return text;
}

static void print_failures_groups_equal_ones(void **state)
{
    struct report *report = calloc(1, sizeof *report);
    char *text;

    (void)state;
    add_failed(report, REPORT_STREAM, GRPC_UNAVAILABLE, "redis down", 3);
    add_failed(report, REPORT_STREAM, GRPC_INTERNAL, "", -1);
    add_failed(report, REPORT_STREAM, GRPC_UNAVAILABLE, "redis down", 4);
    add_failed(report, REPORT_STREAM, GRPC_UNAVAILABLE, "redis down", -1);
    add_failed(report, REPORT_CONNECTION, GRPC_UNAVAILABLE, "redis down", -1);
    assert_int_equal(report->streams_failed, 4);
    text = printed(report, report_print_failures);
    assert_string_equal(
        text, "tally-send: UNAVAILABLE: redis down (3 streams, 300 packets sent)\n"
              "  counted nevertheless: 7 packets (tally-received, from 2 of the streams)\n"
              "  hint: tallyd runs, but has no usable Redis: its log says why (if "
              "scripts/run.sh started that Redis: Ctrl-C there, and run it again)\n"
              "tally-send: INTERNAL: (no message) (1 stream, 100 packets sent)\n"
              "tally-send: UNAVAILABLE: redis down (1 connection)\n"
              "  hint: tallyd runs, but has no usable Redis: its log says why (if "
              "scripts/run.sh started that Redis: Ctrl-C there, and run it again)\n");
    free(text);
    free(report);
}

static void add_failure_many_kinds_is_bounded(void **state)
{
    struct report *report = calloc(1, sizeof *report);
    uint64_t count = 0;
    char message[32];

    (void)state;
    for (int i = 0; i < 1000; i++) {
        snprintf(message, sizeof message, "kind %d", i);
        add_failed(report, REPORT_STREAM, GRPC_INTERNAL, message, -1);
    }
    assert_int_equal(report->failure_count, REPORT_FAILURES);
    for (size_t i = 0; i < report->failure_count; i++)
        count += report->failures[i].count;
    assert_int_equal(count, 1000);
    assert_string_equal(report->failures[REPORT_FAILURES - 1].message,
                        "(other failures, of many kinds)");
    free(report);
}

static void print_text_tells_all(void **state)
{
    struct report *report = calloc(1, sizeof *report);
    char *text;

    (void)state;
    report->planned = report->sent = 2000;
    report->seconds = 0.5;
    report_add_acknowledged(report, 1000, 2000000);
    assert_false(report_complete(report));
    text = printed(report, report_print_text);
    assert_non_null(strstr(text, "packets sent          2000\n"));
    assert_non_null(strstr(text, "packets acknowledged  1000\n"));
    assert_non_null(strstr(text, "packets/s             2000\n"));
    assert_non_null(strstr(text, "max 2.000 ms\n"));
    free(text);
    report_add_acknowledged(report, 1000, 2000000);
    assert_true(report_complete(report));
    free(report);
}

static double number(const cJSON *object, const char *name)
{
    return cJSON_GetNumberValue(cJSON_GetObjectItem(object, name));
}

static void print_json_tells_all(void **state)
{
    struct report *report = calloc(1, sizeof *report);
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    cJSON *json, *failure;

    (void)state;
    report->planned = 300;
    report->sent = 200;
    report->seconds = 0.5;
    report_add_acknowledged(report, 100, 2000000);
    add_failed(report, REPORT_STREAM, GRPC_UNAVAILABLE, "say \"no\"", 7);
    add_failed(report, REPORT_CONNECTION, GRPC_INTERNAL, "x", -1);
    assert_int_equal(report_print_json(report, out), 0);
    fclose(out);
    assert_ptr_equal(strchr(text, '\n'), text + size - 1);
    json = cJSON_Parse(text);
    assert_non_null(json);
    assert_true(number(json, "packets") == 300);
    assert_true(number(json, "sent") == 200);
    assert_true(number(json, "acknowledged") == 100);
    assert_true(cJSON_IsFalse(cJSON_GetObjectItem(json, "complete")));
    assert_true(number(json, "packets_per_second") == 200);
    assert_true(number(cJSON_GetObjectItem(json, "streams"), "failed") == 1);
    assert_true(number(cJSON_GetObjectItem(json, "ack_latency_ms"), "max") == 2);
    failure = cJSON_GetArrayItem(cJSON_GetObjectItem(json, "failures"), 0);
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(failure, "message")),
                        "say \"no\"");
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(failure, "status")),
                        "UNAVAILABLE");
    assert_true(number(failure, "tally_received") == 7);
    failure = cJSON_GetArrayItem(cJSON_GetObjectItem(json, "failures"), 1);
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(failure, "of")), "connection");
    assert_true(cJSON_IsNull(cJSON_GetObjectItem(failure, "tally_received")));
    cJSON_Delete(json);
    free(text);
    free(report);
}

static void format_progress_table(void **state)
{
    static const struct {
        struct progress_values values;
        size_t width;
        const char *line;
    } table[] = {
        {{10000, 5000, 1200, 1000},
         74,
         "[######......]  50%  1.00 k/s  5.00 k sent  1.20 k acknowledged  0:05 left"},
        {{10000000, 2500000, 0, 2500000}, 40, " 25%  2.50 M/s  2.50 M sent  0 acknowled"},
        {{100, 100, 0, 10}, 62, "[#####] 100%  10/s  100 sent  0 acknowledged  waiting for Acks"},
        {{100, 0, 0, 0}, 50, "  0%  0/s  0 sent  0 acknowledged  --:-- left"},
        {{1000000, 0, 0, 100}, 59, "[.......]   0%  100/s  0 sent  0 acknowledged  2:46:40 left"},
    };
    char line[128];

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        size_t width = table[i].width;

        progress_format(line, sizeof line, width, &table[i].values);
        assert_string_equal(line, table[i].line);
        assert_in_range(strlen(line), 1, width);
    }
}

static void update_no_terminal_draws_nothing(void **state)
{
    struct progress progress;
    FILE *out = tmpfile();

    (void)state;
    progress_init(&progress, out, 0);
    progress_update(&progress, 100, 50, 50, 10000000000u);
    progress_clear(&progress);
    assert_int_equal(ftell(out), 0);
    fclose(out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(print_failures_groups_equal_ones),
        cmocka_unit_test(add_failure_many_kinds_is_bounded),
        cmocka_unit_test(print_text_tells_all),
        cmocka_unit_test(print_json_tells_all),
        cmocka_unit_test(format_progress_table),
        cmocka_unit_test(update_no_terminal_draws_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
