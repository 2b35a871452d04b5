/* The log: its two formats, that nothing in a message can break a line, levels, and the limit. */
#include "common/clock.h"
#include "common/compiler.h"
#include "common/log.h"
#include "tests/unit/unit.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PRINTED_BYTES 4096

/* Standard error goes to a file while a test runs; cmocka's reports of the test then do too. */
static int log_file = -1, real_stderr = -1;

static int divert_stderr(void **state)
{
    FILE *file = tmpfile();

    (void)state;
    if (!file)
        return -1;
    log_file = dup(fileno(file));
    fclose(file);
    real_stderr = dup(STDERR_FILENO);
    return log_file < 0 || real_stderr < 0 || dup2(log_file, STDERR_FILENO) < 0 ? -1 : 0;
}

static int restore_stderr(void **state)
{
    (void)state;
    dup2(real_stderr, STDERR_FILENO);
    close(real_stderr);
    close(log_file);
    log_configure(LOG_INFO, LOG_TEXT);
    return 0;
}

/* What was written since the last call. */
static const char *printed(void)
{
    static char text[PRINTED_BYTES];
    off_t end = lseek(log_file, 0, SEEK_END);
    ssize_t got = pread(log_file, text, sizeof text - 1, 0);

    assert_in_range(end, 0, sizeof text - 1);
    assert_int_equal(got, end);
    assert_int_equal(ftruncate(log_file, 0), 0);
    lseek(log_file, 0, SEEK_SET);
    text[got] = '\0';
    return text;
}

/* True if `text` is `pattern`, in which # stands for any digit. */
static bool has_shape(const char *text, const char *pattern)
{
    for (; *pattern; text++, pattern++) {
        if (*pattern == '#' ? !isdigit((unsigned char)*text) : *text != *pattern)
            return false;
    }
    return *text == '\0';
}

static void write_text_line_has_time_level_thread_and_message(void **state)
{
    (void)state;
    log_configure(LOG_INFO, LOG_TEXT);
    log_info("listening on %s:%d", "127.0.0.1", 50051);
    assert_true(has_shape(printed(), "####-##-##T##:##:##.###Z info  main     "
                                     "listening on 127.0.0.1:#####\n"));
}

static void write_json_line_has_the_same_as_members(void **state)
{
    (void)state;
    log_configure(LOG_INFO, LOG_JSON);
    log_warn("Redis is away");
    assert_true(has_shape(printed(), "{\"time\":\"####-##-##T##:##:##.###Z\",\"level\":\"warn\","
                                     "\"thread\":\"main\",\"message\":\"Redis is away\"}\n"));
}

static void write_below_level_prints_nothing(void **state)
{
    (void)state;
    log_configure(LOG_WARN, LOG_TEXT);
    log_debug("a");
    log_info("b");
    assert_string_equal(printed(), "");
    log_warn("c");
    log_error("d");
    assert_non_null(strstr(printed(), " error "));
}

static void write_keeps_errno(void **state)
{
    (void)state;
    errno = EADDRINUSE;
    log_error("x");
    assert_int_equal(errno, EADDRINUSE);
    printed();
}

/* Messages, and how they must end a line of text and of JSON. */
static void write_hostile_message_cannot_break_the_line(void **state)
{
    static const struct {
        const char *message, *text, *json;
    } samples[] = {
        {"a\nb", "a\\u000ab", "a\\u000ab"},
        {"a\r\nb", "a\\u000d\\u000ab", "a\\u000d\\u000ab"},
        {"\x1b[2J", "\\u001b[2J", "\\u001b[2J"},
        {"\tx\x7f", "\\u0009x\\u007f", "\\u0009x\\u007f"},
        {"\xc2\x9b[2J", "\\u009b[2J", "\\u009b[2J"}, /* the same as ESC [ to some terminals */
        {"say \"hi\"", "say \"hi\"", "say \\\"hi\\\""},
        {"back\\slash", "back\\slash", "back\\\\slash"},
        {"\"}\n{\"level\":\"error", "\"}\\u000a{\"level\":\"error",
         "\\\"}\\u000a{\\\"level\\\":\\\"error"},
        {"K\xc3\xbchlhaus", "K\xc3\xbchlhaus", "K\xc3\xbchlhaus"},
        {"\xc2\xa0", "\xc2\xa0", "\xc2\xa0"}, /* the first character that is no control */
        {"Latin-1 \xfc.", "Latin-1 \\ufffd.", "Latin-1 \\ufffd."},
        {"cut \xe2\x82", "cut \\ufffd\\ufffd", "cut \\ufffd\\ufffd"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(samples); i++) {
        char expected[128];
        const char *line;

        log_configure(LOG_INFO, LOG_TEXT);
        log_info("%s", samples[i].message);
        line = printed();
        snprintf(expected, sizeof expected, " %s\n", samples[i].text);
        assert_string_equal(line + strlen("2026-01-01T00:00:00.000Z info  main    "), expected);

        log_configure(LOG_INFO, LOG_JSON);
        log_info("%s", samples[i].message);
        line = strstr(printed(), "\"message\":");
        snprintf(expected, sizeof expected, "\"message\":\"%s\"}\n", samples[i].json);
        assert_non_null(line);
        assert_string_equal(line, expected);
    }
}

/* Messages longer than the line, plain, all escapes, and of characters that the cut may split. */
static void write_long_message_is_cut_within_one_whole_line(void **state)
{
    static const char *const fillers[] = {
        "x", "\n", "\"", "\\", "\xff", "\xe2\x82\xac", "\xf0\x9f\x8c\xa1"};

    (void)state;
    log_configure(LOG_INFO, LOG_JSON);
    for (size_t i = 0; i < ARRAY_LENGTH(fillers); i++) {
        for (size_t shift = 0; shift < 8; shift++) {
            char message[3000];
            const char *line;
            size_t used = shift;

            memset(message, '.', shift);
            while (used + 8 < sizeof message)
                used += (size_t)sprintf(message + used, "%s", fillers[i]);
            log_info("%s", message);
            line = printed();
            assert_in_range(strlen(line), 1000, 1300);
            assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
            assert_string_equal(line + strlen(line) - 3, "\"}\n");
        }
    }
}

static const char *behind_head(const char *line)
{
    return line + strlen("2026-01-01T00:00:00.000Z info  main     ");
}

static void event_has_its_fields_behind_the_message(void **state)
{
    const struct log_about about = {.kind = "flood", .peer = "192.0.2.1:5", .request_id = "a-1"};

    (void)state;
    log_configure(LOG_INFO, LOG_TEXT);
    log_event(LOG_INFO, &about, "closed %d", 1);
    assert_string_equal(behind_head(printed()),
                        "closed 1 kind=flood peer=192.0.2.1:5 request_id=a-1\n");
    log_event(LOG_INFO, &(struct log_about){.request_id = "a-2"}, "x");
    assert_string_equal(behind_head(printed()), "x request_id=a-2\n");
    log_configure(LOG_INFO, LOG_JSON);
    log_event(LOG_INFO, &about, "closed %d", 1);
    assert_string_equal(strstr(printed(), "\"message\""),
                        "\"message\":\"closed 1\",\"kind\":\"flood\",\"peer\":\"192.0.2.1:5\","
                        "\"request_id\":\"a-1\"}\n");
}

static void event_with_hostile_fields_stays_one_whole_line(void **state)
{
    static const char *const fillers[] = {"x", "\n", "\"", "\\", "\xff", "\xf0\x9f\x8c\xa1"};

    (void)state;
    log_configure(LOG_INFO, LOG_JSON);
    for (size_t i = 0; i < ARRAY_LENGTH(fillers); i++) {
        char long_text[3000] = "";
        const struct log_about about = {.kind = long_text, .peer = long_text, .request_id = "id"};
        const char *line;

        while (strlen(long_text) + 8 < sizeof long_text)
            strcat(long_text, fillers[i]);
        log_event(LOG_INFO, &about, "%s", long_text);
        line = printed();
        assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
        assert_string_equal(line + strlen(line) - strlen(",\"request_id\":\"id\"}\n"),
                            ",\"request_id\":\"id\"}\n");
    }
}

static void event_of_a_kind_is_limited_and_tells_how_many_were_held_back(void **state)
{
    struct log_limit limit = {0};
    const struct log_about about = {.kind = "flood", .limit = &limit};

    (void)state;
    log_configure(LOG_INFO, LOG_TEXT);
    log_event(LOG_DEBUG, &about, "below the level, so not of the limit's concern");
    assert_string_equal(printed(), "");
    log_event(LOG_INFO, &about, "a");
    assert_string_equal(behind_head(printed()), "a kind=flood\n");
    for (int i = 0; i < 3; i++)
        log_event(LOG_INFO, &about, "b");
    assert_string_equal(printed(), "");
    limit.next_ms = clock_now_ms(); /* as if the time had passed */
    log_event(LOG_INFO, &about, "c");
    assert_string_equal(behind_head(printed()), "c kind=flood held_back=3\n");
    limit.next_ms = clock_now_ms();
    log_configure(LOG_INFO, LOG_JSON);
    log_event(LOG_INFO, &about, "d");
    assert_non_null(strstr(printed(), "\"message\":\"d\",\"kind\":\"flood\"}\n"));
}

#define DIVERTED(test) cmocka_unit_test_setup_teardown(test, divert_stderr, restore_stderr)

int main(void)
{
    const struct CMUnitTest tests[] = {
        DIVERTED(write_text_line_has_time_level_thread_and_message),
        DIVERTED(write_json_line_has_the_same_as_members),
        DIVERTED(write_below_level_prints_nothing),
        DIVERTED(write_keeps_errno),
        DIVERTED(write_hostile_message_cannot_break_the_line),
        DIVERTED(write_long_message_is_cut_within_one_whole_line),
        DIVERTED(event_has_its_fields_behind_the_message),
        DIVERTED(event_with_hostile_fields_stays_one_whole_line),
        DIVERTED(event_of_a_kind_is_limited_and_tells_how_many_were_held_back),
    };

    return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
