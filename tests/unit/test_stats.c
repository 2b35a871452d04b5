/* Counters and the balance: what is published is read back whole. */
#include "common/balance.h"
#include "common/stats.h"
#include "common/thread.h"
#include "tests/unit/unit.h"

#include <sched.h>
#include <stdbool.h>
#include <string.h>

static void counter_after_adds_and_sets_has_their_result(void **state)
{
    struct stats_worker stats;

    (void)state;
    memset(&stats, 0, sizeof stats);
    stats_add(&stats.bytes_received, 40);
    stats_add(&stats.bytes_received, 2);
    assert_int_equal(stats_get(&stats.bytes_received), 42);
    stats_set(&stats.streams_waiting, 7);
    stats_set(&stats.streams_waiting, 3);
    assert_int_equal(stats_get(&stats.streams_waiting), 3);
    assert_int_equal(stats_get(&stats.streams_opened), 0);
}

static void blocks_in_an_array_share_no_cache_line(void **state)
{
    (void)state;
    assert_int_equal(sizeof(struct stats_worker) % CACHE_LINE_BYTES, 0);
    assert_int_equal(sizeof(struct stats_flusher) % CACHE_LINE_BYTES, 0);
    assert_int_equal(_Alignof(struct stats_worker), CACHE_LINE_BYTES);
    assert_int_equal(_Alignof(struct stats_flusher), CACHE_LINE_BYTES);
}

static void sum_of_two_workers_has_every_statistic_of_both(void **state)
{
    struct stats_worker one, two;
    struct stats_worker_values sum = {0}, values;
    uint64_t n = 1;

    (void)state;
#define SET(name, help)                                                                            \
    stats_set(&one.name, n);                                                                       \
    stats_set(&two.name, 100 * n);                                                                 \
    n++;
    STATS_WORKER(SET)
#undef SET
    values = stats_worker_read(&one);
    stats_worker_sum(&sum, &values);
    values = stats_worker_read(&two);
    stats_worker_sum(&sum, &values);
    n = 1;
#define CHECK(name, help) assert_int_equal(sum.name, 101 * n++);
    STATS_WORKER(CHECK)
#undef CHECK
}

/* A worker that always has one stream open, and at times another. Its two counters have a cache
 * line each here, so that they are seen at moments far apart. */
struct busy_worker {
    _Atomic uint64_t opened CACHE_ALIGNED, closed CACHE_ALIGNED;
    _Atomic bool over;
};

static void *open_and_close_many(void *argument)
{
    struct busy_worker *worker = argument;

    while (!atomic_load(&worker->over)) {
        stats_add(&worker->opened, 1);
        stats_count_end(&worker->closed);
    }
    return NULL;
}

static void open_now_while_streams_come_and_go_misses_none(void **state)
{
    struct busy_worker worker = {.opened = 1};
    uint64_t least = UINT64_MAX, most = 0;
    pthread_t thread;

    (void)state;
    assert_int_equal(thread_start(&thread, THREAD_WORKER, "worker-0", open_and_close_many, &worker),
                     0);
    while (stats_get(&worker.closed) == 0)
        sched_yield();
    for (unsigned i = 0; i < 20000000; i++) {
        uint64_t now = stats_open_now(&worker.opened, &worker.closed);

        least = now < least ? now : least;
        most = now > most ? now : most;
    }
    atomic_store(&worker.over, true);
    pthread_join(thread, NULL);
    assert_true(least >= 1);
    assert_true(most <= stats_get(&worker.opened));
    assert_int_equal(stats_open_now(&worker.opened, &worker.closed), 1);
}

static void bounds_of_every_histogram_ascend(void **state)
{
    (void)state;
#define CHECK(name, help)                                                                          \
    assert_in_range(stats_##name##_bounds.count, 1, HISTOGRAM_MAX_BOUNDS);                         \
    for (size_t i = 1; i < stats_##name##_bounds.count; i++)                                       \
        assert_true(stats_##name##_bounds.upper[i - 1] < stats_##name##_bounds.upper[i]);
    STATS_FLUSHER_HISTOGRAMS(CHECK)
#undef CHECK
}

static void rejected_total_counts_every_reason(void **state)
{
    struct balance_rejected rejected = {0};
    uint64_t expected = 0, each = 1;

    (void)state;
#define SET(name, help)                                                                            \
    rejected.name = each;                                                                          \
    expected += each;                                                                              \
    each *= 10;
    BALANCE_REJECTED(SET)
#undef SET
    assert_int_equal(balance_rejected_total(&rejected), expected);
}

static void balance_before_first_publish_is_zero(void **state)
{
    static const struct balance_values zero = {0};
    struct balance balance;
    struct balance_values values;

    (void)state;
    memset(&balance, 0xff, sizeof balance);
    balance_init(&balance);
    values = balance_read(&balance);
    assert_memory_equal(&values, &zero, sizeof values);
    balance_fini(&balance);
}

static void balance_after_publish_is_read_back(void **state)
{
    const struct balance_values published = {
        .received = 10, .committed = 6, .quarantined = 1, .pending = 3, .rejected = {.utf8 = 1}};
    struct balance balance;
    struct balance_values values;

    (void)state;
    balance_init(&balance);
    balance_publish(&balance, &published);
    values = balance_read(&balance);
    assert_memory_equal(&values, &published, sizeof values);
    balance_fini(&balance);
}

/* What the flusher does, shortened: each of its values balances. */
#define PUBLICATIONS 20000u

static void *publish_many(void *argument)
{
    struct balance *balance = argument;

    for (uint64_t i = 1; i <= PUBLICATIONS; i++) {
        struct balance_values values = {
            .received = 6 * i, .committed = 3 * i, .pending = 2 * i, .rejected = {.malformed = i}};

        balance_publish(balance, &values);
    }
    return NULL;
}

static void balance_read_while_published_always_balances(void **state)
{
    struct balance balance;
    struct balance_values values;
    pthread_t publisher;

    (void)state;
    balance_init(&balance);
    assert_int_equal(thread_start(&publisher, THREAD_FLUSHER, "publisher", publish_many, &balance),
                     0);
    do {
        values = balance_read(&balance);
        assert_int_equal(values.received, values.committed + values.pending +
                                              balance_rejected_total(&values.rejected));
    } while (values.received < 6 * PUBLICATIONS);
    assert_int_equal(pthread_join(publisher, NULL), 0);
    balance_fini(&balance);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counter_after_adds_and_sets_has_their_result),
        cmocka_unit_test(blocks_in_an_array_share_no_cache_line),
        cmocka_unit_test(sum_of_two_workers_has_every_statistic_of_both),
        cmocka_unit_test(open_now_while_streams_come_and_go_misses_none),
        cmocka_unit_test(bounds_of_every_histogram_ascend),
        cmocka_unit_test(rejected_total_counts_every_reason),
        cmocka_unit_test(balance_before_first_publish_is_zero),
        cmocka_unit_test(balance_after_publish_is_read_back),
        cmocka_unit_test(balance_read_while_published_always_balances),
    };

    return cmocka_run_group_tests_name("stats", tests, NULL, NULL);
}
