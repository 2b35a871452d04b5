/* The commit protocol's pipelines byte for byte, and what is made of replies. */
#include "aggregator/transaction.h"
#include "common/compiler.h"
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>

#define BYTES(text) text, sizeof text - 1

/* A string reply of hiredis: a length, and a NUL behind the bytes. */
static redisReply string_reply(const char *bytes, size_t length)
{
    return (redisReply){.type = REDIS_REPLY_STRING, .str = (char *)bytes, .len = length};
}

static void assert_rendered(struct resp *resp, const char *expected, size_t length)
{
    assert_false(resp->failed);
    if (resp->length != length || memcmp(resp->bytes, expected, length) != 0)
        fail_msg("rendered: %.*s", (int)resp->length, resp->bytes);
}

/* ---- Rendering ------------------------------------------------------------------------------ */

#define LOOK                                                                                       \
    "*2\r\n$5\r\nWATCH\r\n$3\r\nk:l\r\n"                                                           \
    "*6\r\n$5\r\nHMGET\r\n$3\r\nk:l\r\n$5\r\nepoch\r\n$5\r\nowner\r\n$5\r\nbatch\r\n"              \
    "$7\r\nstarted\r\n"
#define MULTI  "*1\r\n$5\r\nMULTI\r\n"
#define EXPIRE "*3\r\n$6\r\nEXPIRE\r\n$3\r\nk:l\r\n$6\r\n604800\r\n"
#define EXEC   "*1\r\n$4\r\nEXEC\r\n"

static const struct hash_key hash_key = {1, 2};

/* A batch of two devices, one of them with a NUL inside; its map owns the counters. */
static struct batch *two_devices(struct counters *counters)
{
    struct batch *batch = calloc(1, sizeof *batch);

    assert_non_null(batch);
    batch->count = 2;
    batch->entries[0].counter = counters_add(counters, 0, (const uint8_t *)"a\0b", 3, 1);
    batch->entries[0].delta = 1;
    batch->entries[1].counter = counters_add(counters, 0, (const uint8_t *)"pump", 4, 1);
    batch->entries[1].delta = INT64_MAX;
    return batch;
}

static void append_look_watches_before_it_reads(void **state)
{
    struct resp resp;

    (void)state;
    resp_init(&resp);
    transaction_append_look(&resp, "k:l");
    assert_rendered(&resp, BYTES(LOOK));
    resp_fini(&resp);
}

static void append_begin_raises_the_epoch_and_signs_it(void **state)
{
    struct resp resp;

    (void)state;
    resp_init(&resp);
    transaction_append_begin(&resp, "k:l", UINT64_MAX, 1700000000001);
    assert_rendered(&resp,
                    BYTES(MULTI "*4\r\n$7\r\nHINCRBY\r\n$3\r\nk:l\r\n$5\r\nepoch\r\n$1\r\n1\r\n"
                                "*6\r\n$4\r\nHSET\r\n$3\r\nk:l\r\n$5\r\nowner\r\n"
                                "$20\r\n18446744073709551615\r\n"
                                "$7\r\nstarted\r\n$13\r\n1700000000001\r\n" EXPIRE EXEC LOOK));
    resp_fini(&resp);
}

static const struct transaction_look ledger = {
    .epoch = 12, .owner = 9, .batch = 345, .started = 67};

#define HSET_LEDGER                                                                                \
    "*10\r\n$4\r\nHSET\r\n$3\r\nk:l\r\n$5\r\nepoch\r\n$2\r\n12\r\n"                                \
    "$5\r\nowner\r\n$1\r\n9\r\n$5\r\nbatch\r\n$3\r\n345\r\n"                                       \
    "$7\r\nstarted\r\n$2\r\n67\r\n"

static void append_counts_opens_a_transaction_and_leaves_it_open(void **state)
{
    struct counters *counters = counters_create(&hash_key, 10);
    struct batch *batch = two_devices(counters);
    struct resp resp;

    (void)state;
    resp_init(&resp);
    for (int i = 0; i < 2; i++) { /* the same again, since a batch may be sent again */
        resp_clear(&resp);
        transaction_append_counts(&resp, "k", batch);
        assert_rendered(&resp,
                        BYTES(MULTI "*4\r\n$7\r\nHINCRBY\r\n$1\r\nk\r\n$3\r\na\0b\r\n$1\r\n1\r\n"
                                    "*4\r\n$7\r\nHINCRBY\r\n$1\r\nk\r\n$4\r\npump\r\n$"
                                    "19\r\n9223372036854775807\r\n"));
    }
    resp_fini(&resp);
    free(batch);
    counters_destroy(counters);
}

static void append_commit_writes_the_ledger_executes_and_looks(void **state)
{
    struct resp resp;

    (void)state;
    resp_init(&resp);
    transaction_append_commit(&resp, "k:l", &ledger);
    assert_rendered(&resp, BYTES(HSET_LEDGER EXPIRE EXEC LOOK));
    resp_fini(&resp);
}

static void append_counts_without_a_batch_opens_a_transaction(void **state)
{
    struct resp resp;

    (void)state;
    resp_init(&resp);
    transaction_append_multi(&resp);
    transaction_append_commit(&resp, "k:l", &ledger);
    assert_rendered(&resp, BYTES(MULTI HSET_LEDGER EXPIRE EXEC LOOK));
    resp_fini(&resp);
}

static void append_fields_asks_for_every_device(void **state)
{
    struct counters *counters = counters_create(&hash_key, 10);
    struct batch *batch = two_devices(counters);
    struct resp resp;

    (void)state;
    resp_init(&resp);
    transaction_append_fields(&resp, "k", batch);
    assert_rendered(&resp, BYTES("*4\r\n$5\r\nHMGET\r\n$1\r\nk\r\n$3\r\na\0b\r\n$4\r\npump\r\n"));
    resp_fini(&resp);
    free(batch);
    counters_destroy(counters);
}

/* ---- Reading -------------------------------------------------------------------------------- */

/* Reads a look in which `field` stands at `place`, and 7 in the other places. */
#define PLACES 4
static bool read_look(redisReply *field, size_t place, struct transaction_look *look)
{
    redisReply seven = string_reply("7", 1), *fields[PLACES] = {&seven, &seven, &seven, &seven};
    redisReply reply = {.type = REDIS_REPLY_ARRAY, .elements = PLACES, .element = fields};

    fields[place] = field;
    return transaction_read_look(&reply, look);
}

static void assert_look(const struct transaction_look *look, size_t place, uint64_t value)
{
    assert_true(look->epoch == (place == 0 ? value : 7));
    assert_true(look->owner == (place == 1 ? value : 7));
    assert_true(look->batch == (place == 2 ? value : 7));
    assert_true(look->started == (place == 3 ? value : 7));
}

static void read_look_number_gives_its_value(void **state)
{
    static const struct {
        const char *text;
        uint64_t value;
    } table[] = {
        {"0", 0},
        {"1", 1},
        {"10", 10},
        {"9223372036854775807", INT64_MAX},
        {"18446744073709551615", UINT64_MAX},
    };
    struct transaction_look look;

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        redisReply number = string_reply(table[i].text, strlen(table[i].text));

        for (size_t place = 0; place < PLACES; place++) {
            if (place >= 2 && table[i].value > INT64_MAX) { /* a batch or time goes no further */
                assert_false(read_look(&number, place, &look));
                continue;
            }
            assert_true(read_look(&number, place, &look));
            assert_look(&look, place, table[i].value);
        }
    }
}

static void read_look_missing_field_is_zero(void **state)
{
    redisReply nil = {.type = REDIS_REPLY_NIL};
    struct transaction_look look;

    (void)state;
    for (size_t place = 0; place < PLACES; place++) {
        assert_true(read_look(&nil, place, &look));
        assert_look(&look, place, 0);
    }
}

static void read_look_anything_else_is_refused(void **state)
{
    static const struct {
        const char *text;
        size_t length;
    } table[] = {
        {BYTES("")},         {BYTES("x")},
        {BYTES("1x")},       {BYTES("1 ")},
        {BYTES("0x10")},     {BYTES("1.0")},
        {BYTES("1e3")},      {BYTES("- 1")},
        {BYTES("\xd9\xa1")}, {BYTES(" 1")},
        {BYTES("+1")},       {BYTES("-1")},
        {BYTES("1\0x")},     {BYTES("18446744073709551616")},
    };
    redisReply integer = {.type = REDIS_REPLY_INTEGER, .integer = 7};
    struct transaction_look look;

    (void)state;
    for (size_t place = 0; place < PLACES; place++) {
        for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
            redisReply bad = string_reply(table[i].text, table[i].length);

            if (read_look(&bad, place, &look))
                fail_msg("\"%s\" was taken", table[i].text);
        }
        assert_false(read_look(&integer, place, &look));
        assert_false(read_look(NULL, place, &look)); /* an integer that was spared */
    }
}

static void read_look_other_reply_is_refused(void **state)
{
    redisReply good = string_reply("7", 1), *fields[] = {&good, &good, &good, &good, &good};
    redisReply table[] = {
        {.type = REDIS_REPLY_ERROR, .str = (char *)"WRONGTYPE", .len = 9},
        {.type = REDIS_REPLY_STATUS, .str = (char *)"OK", .len = 2},
        {.type = REDIS_REPLY_NIL},
        {.type = REDIS_REPLY_ARRAY, .elements = 0},
        {.type = REDIS_REPLY_ARRAY, .elements = PLACES - 1, .element = fields},
        {.type = REDIS_REPLY_ARRAY, .elements = PLACES + 1, .element = fields},
    };
    struct transaction_look look;

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++)
        assert_false(transaction_read_look(&table[i], &look));
}

/* ---- Refusals ------------------------------------------------------------------------------- */

static void was_refused_table(void **state)
{
    static const struct {
        const char *text;
        size_t length;
        uint64_t delta;
        bool refused;
    } table[] = {
        /* What HINCRBY adds to: 64-bit integers as Redis itself writes them. */
        {BYTES("0"), 1, false},
        {BYTES("7"), 1, false},
        {BYTES("-7"), 1, false},
        {BYTES("10"), INT64_MAX - 10, false},
        {BYTES("9223372036854775806"), 1, false},
        {BYTES("-1"), INT64_MAX, false},
        {BYTES("-9223372036854775808"), INT64_MAX, false},
        /* The sum would overflow. */
        {BYTES("9223372036854775807"), 1, true},
        {BYTES("9223372036854775806"), 2, true},
        {BYTES("10"), INT64_MAX - 9, true},
        {BYTES("1"), INT64_MAX, true},
        /* What HINCRBY takes for no integer. */
        {BYTES(""), 1, true},
        {BYTES("+1"), 1, true},
        {BYTES(" 1"), 1, true},
        {BYTES("1 "), 1, true},
        {BYTES("01"), 1, true},
        {BYTES("00"), 1, true},
        {BYTES("-0"), 1, true},
        {BYTES("-01"), 1, true},
        {BYTES("-"), 1, true},
        {BYTES("1\0"), 1, true},
        {BYTES("1\0002"), 1, true},
        {BYTES("\0"), 1, true},
        {BYTES("1.0"), 1, true},
        {BYTES("1e3"), 1, true},
        {BYTES("0x10"), 1, true},
        {BYTES("ten"), 1, true},
        {BYTES("9223372036854775808"), 1, true},
        {BYTES("-9223372036854775809"), 1, true},
        {BYTES("99999999999999999999999"), 1, true},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        redisReply field = string_reply(table[i].text, table[i].length);

        if (transaction_was_refused(&field, table[i].delta) != table[i].refused)
            fail_msg("row %zu, \"%s\" + %llu", i, table[i].text,
                     (unsigned long long)table[i].delta);
    }
}

/* HINCRBY makes a field that is not there. */
static void was_refused_missing_field_is_not(void **state)
{
    redisReply nil = {.type = REDIS_REPLY_NIL};

    (void)state;
    assert_false(transaction_was_refused(&nil, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(append_look_watches_before_it_reads),
        cmocka_unit_test(append_begin_raises_the_epoch_and_signs_it),
        cmocka_unit_test(append_counts_opens_a_transaction_and_leaves_it_open),
        cmocka_unit_test(append_commit_writes_the_ledger_executes_and_looks),
        cmocka_unit_test(append_counts_without_a_batch_opens_a_transaction),
        cmocka_unit_test(append_fields_asks_for_every_device),
        cmocka_unit_test(read_look_number_gives_its_value),
        cmocka_unit_test(read_look_missing_field_is_zero),
        cmocka_unit_test(read_look_anything_else_is_refused),
        cmocka_unit_test(read_look_other_reply_is_refused),
        cmocka_unit_test(was_refused_table),
        cmocka_unit_test(was_refused_missing_field_is_not),
    };

    return cmocka_run_group_tests_name("transaction", tests, NULL, NULL);
}
