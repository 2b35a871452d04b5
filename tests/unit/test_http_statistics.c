/* The tree behind GET /stats: what is in it, and that it is whole or not there at all. */
#include "common/balance.h"
#include "common/clock.h"
#include "http/http.h"
#include "http/request.h"
#include "http/statistics.h"
#include "tests/unit/unit.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

/* cJSON's allocator, which fails once `left` blocks were given out. */
static size_t left = SIZE_MAX, in_use;

static void *allocate(size_t size)
{
    void *block = left ? malloc(size) : NULL;

    left -= left > 0;
    in_use += block != NULL;
    return block;
}

static void release(void *block)
{
    in_use -= block != NULL;
    free(block);
}

static int use_allocator(void **state)
{
    (void)state;
    cJSON_InitHooks(&(cJSON_Hooks){allocate, release});
    return 0;
}

struct fixture {
    struct stats_worker workers[2];
    struct stats_worker *list[2];
    struct stats_flusher flusher;
    struct stats_main main;
    struct balance balance;
    atomic_bool draining;
    struct http_options options;
    struct http_shared shared;
};

static void start(struct fixture *f)
{
    memset(f, 0, sizeof *f);
    balance_init(&f->balance);
    f->list[0] = &f->workers[0];
    f->list[1] = &f->workers[1];
    f->options = (struct http_options){
        .instance = "host:50051",
        .redis = {.host = "127.0.0.1", .port = 6379, .key = "device_metrics"},
        .workers = f->list,
        .worker_count = 2,
        .flusher = &f->flusher,
        .main = &f->main,
        .balance = &f->balance,
        .draining = &f->draining,
    };
    f->shared = (struct http_shared){.options = &f->options, .started_ms = clock_now_ms()};
    left = SIZE_MAX;
}

static const char *text_of(const cJSON *json, const char *object, const char *name)
{
    const cJSON *item = cJSON_GetObjectItem(cJSON_GetObjectItem(json, object), name);

    assert_non_null(item);
    return item->valuestring;
}

static void create_tells_instance_balance_and_sums(void **state)
{
    struct fixture f;
    cJSON *json, *flusher, *batch;

    (void)state;
    start(&f);
    stats_set(&f.workers[0].bytes_received, 40);
    stats_set(&f.workers[1].bytes_received, 2);
    stats_set(&f.flusher.cuts, UINT64_MAX);
    stats_set(&f.main.reloads, 3);
    histogram_add(&f.flusher.batch_devices, &stats_batch_devices_bounds, 5);
    balance_publish(&f.balance, &(struct balance_values){.received = 9007199254740993});
    json = statistics_create(&f.shared);
    assert_non_null(json);
    assert_string_equal(text_of(json, "instance", "name"), "host:50051");
    assert_string_equal(text_of(json, "instance", "redis"), "127.0.0.1:6379");
    assert_string_equal(text_of(json, "balance", "received"), "9007199254740993");
    assert_string_equal(text_of(json, "flusher", "cuts"), "18446744073709551615");
    assert_string_equal(text_of(json, "main", "reloads"), "3");
    assert_string_equal(text_of(json, "totals", "bytes_received"), "42");
    flusher = cJSON_GetObjectItem(json, "flusher");
    assert_string_equal(text_of(flusher, "batch_devices", "count"), "1");
    assert_string_equal(text_of(flusher, "batch_devices", "sum"), "5");
    batch = cJSON_GetObjectItem(flusher, "batch_devices");
    assert_string_equal(text_of(batch, "up_to", "4"), "0");
    assert_string_equal(text_of(batch, "up_to", "16"), "1");
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(json, "workers")), 2);
    cJSON_Delete(json);
    assert_int_equal(in_use, 0);
    balance_fini(&f.balance);
}

static void create_short_of_memory_gives_nothing_and_leaks_nothing(void **state)
{
    struct fixture f;
    size_t blocks = 0;
    cJSON *json;

    (void)state;
    start(&f);
    for (left = 0; !(json = statistics_create(&f.shared)); left = ++blocks) {
        assert_int_equal(left, 0); /* nothing but the memory was wrong */
        assert_int_equal(in_use, 0);
    }
    assert_true(blocks > 0);
    cJSON_Delete(json);
    balance_fini(&f.balance);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(create_tells_instance_balance_and_sums),
        cmocka_unit_test(create_short_of_memory_gives_nothing_and_leaks_nothing),
    };

    return cmocka_run_group_tests_name("http_statistics", tests, use_allocator, NULL);
}
