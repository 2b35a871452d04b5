/*
 * The top table's events, parsed by cJSON and applied to a table as a listener does it, against the
 * table whole: over many random ticks, of which some are missed.
 */
#include "common/compiler.h"
#include "http/snapshot.h"
#include "http/top_table.h"
#include "tests/unit/random.h"
#include "tests/unit/unit.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEVICES 40
#define TICKS   600

/* What a listener holds: the rows of each order, as text. */
struct listener {
    size_t lengths[TOP_ORDERS];
    char *rows[TOP_ORDERS][TOP_TABLE_ROWS];
};

static void take_row(struct listener *listener, enum top_order order, const cJSON *row)
{
    size_t rank = (size_t)cJSON_GetObjectItem(row, "rank")->valueint - 1;

    assert_in_range(rank, 0, TOP_TABLE_ROWS - 1);
    free(listener->rows[order][rank]);
    listener->rows[order][rank] = cJSON_PrintUnformatted(row);
}

/* Applies an event's data. Returns the number of rows that it carried. */
static int take_event(struct listener *listener, const char *data, size_t length)
{
    cJSON *event = cJSON_ParseWithLength(data, length);
    int rows = 0;

    assert_non_null(event);
    for (enum top_order order = TOP_BY_COUNT; order <= TOP_BY_RATE; order++) {
        const cJSON *list = cJSON_GetObjectItem(event, top_name(order)), *row;
        char name[32];

        snprintf(name, sizeof name, "%s_length", top_name(order));
        listener->lengths[order] = (size_t)cJSON_GetObjectItem(event, name)->valueint;
        cJSON_ArrayForEach(row, list) take_row(listener, order, row);
        rows += cJSON_GetArraySize(list);
        if (cJSON_IsTrue(cJSON_GetObjectItem(event, "full")))
            assert_int_equal(cJSON_GetArraySize(list), listener->lengths[order]);
    }
    cJSON_Delete(event);
    return rows;
}

static int take(struct listener *listener, const struct top_table *table,
                const struct top_table *before)
{
    struct text_buffer text = {0};
    int rows;

    text_buffer_start(&text);
    top_table_write(&text.writer, table, before);
    assert_int_equal(text_buffer_end(&text), 0);
    rows = take_event(listener, text.bytes, text.length);
    text_buffer_free(&text);
    return rows;
}

static void forget(struct listener *listener)
{
    for (size_t i = 0; i < TOP_ORDERS * TOP_TABLE_ROWS; i++)
        free(listener->rows[i / TOP_TABLE_ROWS][i % TOP_TABLE_ROWS]);
    memset(listener, 0, sizeof *listener);
}

static void assert_same_table(const struct listener *listener, const struct listener *whole)
{
    for (size_t order = 0; order < TOP_ORDERS; order++) {
        assert_int_equal(listener->lengths[order], whole->lengths[order]);
        for (size_t i = 0; i < whole->lengths[order]; i++)
            assert_string_equal(listener->rows[order][i], whole->rows[order][i]);
    }
}

/* A device's count below 0: it is not there. */
static struct snapshot *seal(const int64_t counts[DEVICES], const struct snapshot *before)
{
    struct snapshot *snapshot = snapshot_create();

    assert_non_null(snapshot);
    for (int i = 0; i < DEVICES; i++) {
        char id[32];
        int length = snprintf(id, sizeof id, "d-%d\"\n\xc3\xa9", i);

        if (counts[i] >= 0)
            assert_int_equal(snapshot_add(snapshot, id, (size_t)length, counts[i]), 0);
    }
    assert_int_equal(snapshot_seal(snapshot, before), 0);
    return snapshot;
}

/* Few devices or many come, go, gain or lose; sometimes nothing happens. */
static void change(int64_t counts[DEVICES], uint64_t *random)
{
    size_t changes = random_below(random, 5) ? random_below(random, 8) : DEVICES * 2;

    if (!random_below(random, 4))
        return;
    for (size_t i = 0; i < changes; i++) {
        size_t device = random_below(random, DEVICES);

        if (!random_below(random, 4))
            counts[device] = -1;
        else
            counts[device] += (int64_t)random_below(random, 1000) - 20;
    }
    if (!random_below(random, 50))
        memset(counts, 0xff, sizeof(int64_t) * DEVICES); /* all gone */
}

static void listener_has_the_whole_table_after_any_ticks(void **state)
{
    struct top_table tables[2] = {0};
    struct listener whole = {0}, listener = {0};
    struct snapshot *before = NULL;
    int64_t counts[DEVICES];
    uint64_t random = 11;
    bool missed = true;
    size_t sent = 0, all = 0;

    (void)state;
    memset(counts, 0xff, sizeof counts);
    for (int tick = 0; tick < TICKS; tick++) {
        struct top_table *table = &tables[tick % 2], *last = &tables[!(tick % 2)];
        struct snapshot *snapshot;

        change(counts, &random);
        snapshot = random_below(&random, 30) ? seal(counts, before) : NULL; /* Redis is away */
        assert_int_equal(top_table_fill(table, snapshot, snapshot && before ? 500 : 0), 0);
        snapshot_destroy(before);
        before = snapshot;
        forget(&whole);
        all += (size_t)take(&whole, table, NULL);
        if (!random_below(&random, 10)) {
            missed = true;
            continue;
        }
        sent += (size_t)take(&listener, table, missed ? NULL : last);
        missed = false;
        assert_same_table(&listener, &whole);
    }
    assert_true(sent < all);
    snapshot_destroy(before);
    forget(&whole);
    forget(&listener);
    top_table_free(&tables[0]);
    top_table_free(&tables[1]);
}

static void only_changed_rows_are_sent(void **state)
{
    struct snapshot *first, *second, *third;
    struct top_table tables[3] = {0};
    struct listener listener = {0};
    int64_t counts[DEVICES];

    (void)state;
    for (int i = 0; i < DEVICES; i++)
        counts[i] = 1000 - 10 * i;
    first = seal(counts, NULL);
    counts[5]++; /* it keeps its rank, and is the only one with a rate */
    second = seal(counts, first);
    third = seal(counts, first);
    assert_int_equal(top_table_fill(&tables[0], first, 1000), 0);
    assert_int_equal(top_table_fill(&tables[1], second, 1000), 0);
    assert_int_equal(top_table_fill(&tables[2], third, 1000), 0);
    assert_int_equal(take(&listener, &tables[0], NULL), TOP_TABLE_ROWS);
    assert_int_equal(take(&listener, &tables[1], &tables[0]), 2);
    assert_int_equal(take(&listener, &tables[2], &tables[1]), 0);
    for (size_t i = 0; i < ARRAY_LENGTH(tables); i++)
        top_table_free(&tables[i]);
    forget(&listener);
    snapshot_destroy(first);
    snapshot_destroy(second);
    snapshot_destroy(third);
}

static void without_a_snapshot_there_are_no_rows(void **state)
{
    static const char expected[] =
        "{\"full\":true,\"n\":20,\"rate_window_ms\":null,\"by_count_length\":0,\"by_count\":[],"
        "\"by_rate_length\":0,\"by_rate\":[]}";
    struct top_table table = {0};
    struct text_buffer text = {0};

    (void)state;
    assert_int_equal(top_table_fill(&table, NULL, 0), 0);
    text_buffer_start(&text);
    top_table_write(&text.writer, &table, NULL);
    assert_int_equal(text_buffer_end(&text), 0);
    assert_int_equal(text.length, sizeof expected - 1);
    assert_memory_equal(text.bytes, expected, text.length);
    text_buffer_free(&text);
    top_table_free(&table);
}

/* The names and numbers of a row, an id with a NUL among them. */
static void rows_tell_rank_id_count_and_rate(void **state)
{
    static const char expected[] =
        "{\"full\":true,\"n\":20,\"rate_window_ms\":400,"
        "\"by_count_length\":2,\"by_count\":["
        "{\"rank\":1,\"device_id\":\"a\\u0000b\",\"count\":1007,\"rate\":17.5},"
        "{\"rank\":2,\"device_id\":\"lost\",\"count\":3,\"rate\":0.0}],"
        "\"by_rate_length\":1,\"by_rate\":["
        "{\"rank\":1,\"device_id\":\"a\\u0000b\",\"count\":1007,\"rate\":17.5}]}";
    struct snapshot *before = snapshot_create(), *snapshot = snapshot_create();
    struct top_table table = {0};
    struct text_buffer text = {0};

    (void)state;
    assert_int_equal(snapshot_add(before, "a\0b", 3, 1000), 0);
    assert_int_equal(snapshot_add(before, "lost", 4, 5), 0);
    assert_int_equal(snapshot_seal(before, NULL), 0);
    assert_int_equal(snapshot_add(snapshot, "a\0b", 3, 1007), 0);
    assert_int_equal(snapshot_add(snapshot, "lost", 4, 3), 0);
    assert_int_equal(snapshot_seal(snapshot, before), 0);
    assert_int_equal(top_table_fill(&table, snapshot, 400), 0);
    text_buffer_start(&text);
    top_table_write(&text.writer, &table, NULL);
    assert_int_equal(text_buffer_end(&text), 0);
    assert_int_equal(text.length, sizeof expected - 1);
    assert_memory_equal(text.bytes, expected, text.length);
    text_buffer_free(&text);
    top_table_free(&table);
    snapshot_destroy(snapshot);
    snapshot_destroy(before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(listener_has_the_whole_table_after_any_ticks),
        cmocka_unit_test(only_changed_rows_are_sent),
        cmocka_unit_test(without_a_snapshot_there_are_no_rows),
        cmocka_unit_test(rows_tell_rank_id_count_and_rate),
    };

    return cmocka_run_group_tests_name("top_table", tests, NULL, NULL);
}
