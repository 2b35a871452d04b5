/*
 * The cut under torture: workers count and answer as fast as they can, a flusher cuts as fast as it
 * can, and in the end every packet was handed over once, and every stream in a cut that held all
 * of its packets. Run under TSan by the sanitizer build.
 */
#include "aggregator/commits.h"
#include "aggregator/counters.h"
#include "aggregator/cut.h"
#include "aggregator/pending.h"
#include "common/thread.h"
#include "tests/unit/unit.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { WORKERS = 3, DEVICES = 50, STREAMS = 4000, PACKETS_A_STREAM = 20, CUTS = 40 };

static const struct hash_key key = {3, 4};

/* One worker's side, and what the flusher found for it. */
struct side {
    struct cut *cut;
    pthread_t thread;
    uint64_t stream_cut[STREAMS]; /* the cut that each stream ended in */
    atomic_bool done;
    const atomic_bool *over; /* the flusher will not ask again */
};

struct torture {
    struct side sides[WORKERS];
    int flusher_fd;
    atomic_bool over;
};

/* Answers until a cut was made, so that there are some while all this counts, however the threads
 * are scheduled. */
static void await_cut(struct cut *cut)
{
    uint64_t n = cut_number(cut);

    while (cut_number(cut) == n) {
        cut_answer(cut);
        usleep(10);
    }
}

static void *count_streams(void *argument)
{
    struct side *side = argument;
    char id[16];

    for (int s = 0; s < STREAMS; s++) {
        for (int p = 0; p < PACKETS_A_STREAM; p++) {
            int length = snprintf(id, sizeof id, "d%d", (s * 7 + p) % DEVICES);

            cut_count(side->cut, (const uint8_t *)id, (size_t)length);
            if (p % 5 == 0)
                cut_answer(side->cut);
        }
        cut_reject(side->cut, offsetof(struct balance_rejected, utf8));
        side->stream_cut[s] = cut_number(side->cut);
        cut_hurry(side->cut);
        cut_answer(side->cut);
        if (s % (STREAMS / CUTS) == 0)
            await_cut(side->cut);
    }
    atomic_store(&side->done, true);
    while (!atomic_load(side->over)) { /* as a real worker, it answers as long as it is asked */
        cut_answer(side->cut);
        usleep(10);
    }
    return NULL;
}

/* What the flusher thread found; checked by the test's own thread, where cmocka may fail. */
struct result {
    struct torture *torture;
    struct pending *pending;
    struct batch batch;
    uint64_t taken;
    struct cut_totals totals;
    uint64_t cuts;
};

static void *flush(void *argument)
{
    struct result *result = argument;
    struct torture *torture = result->torture;
    bool last = false;

    while (!last) {
        uint64_t n = ++result->cuts;

        last = true;
        for (int i = 0; i < WORKERS; i++)
            last = last && atomic_load(&torture->sides[i].done);
        for (int i = 0; i < WORKERS; i++)
            cut_request(torture->sides[i].cut, n);
        for (int i = 0; i < WORKERS; i++) {
            while (!cut_answered(torture->sides[i].cut, n))
                usleep(10);
            pending_take(result->pending, (size_t)i,
                         cut_take(torture->sides[i].cut, &result->totals));
        }
        while (pending_fill(result->pending, &result->batch))
            result->taken += batch_packets(&result->batch);
    }
    atomic_store(&torture->over, true);
    return NULL;
}

static void hand_over_under_load_loses_nothing(void **state)
{
    struct torture *torture = calloc(1, sizeof *torture);
    struct result *result = calloc(1, sizeof *result);
    pthread_t flusher;

    (void)state;
    result->torture = torture;
    result->pending = pending_create(&key, DEVICES, WORKERS);
    assert_non_null(result->pending);
    torture->flusher_fd = eventfd(0, EFD_NONBLOCK);
    for (int i = 0; i < WORKERS; i++) {
        torture->sides[i].cut = cut_create(&key, DEVICES, torture->flusher_fd);
        torture->sides[i].over = &torture->over;
        assert_int_equal(thread_start(&torture->sides[i].thread, THREAD_WORKER, "worker",
                                      count_streams, &torture->sides[i]),
                         0);
    }
    assert_int_equal(thread_start(&flusher, THREAD_FLUSHER, "flusher", flush, result), 0);
    pthread_join(flusher, NULL);
    for (int i = 0; i < WORKERS; i++) {
        pthread_join(torture->sides[i].thread, NULL);
        for (int s = 1; s < STREAMS; s++)
            assert_true(torture->sides[i].stream_cut[s - 1] <= torture->sides[i].stream_cut[s]);
        assert_true(torture->sides[i].stream_cut[STREAMS - 1] <= result->cuts);
        cut_destroy(torture->sides[i].cut);
    }
    assert_int_equal(result->taken, WORKERS * STREAMS * PACKETS_A_STREAM);
    assert_int_equal(pending_devices(result->pending), DEVICES);
    assert_int_equal(result->totals.rejected.utf8, WORKERS * STREAMS);
    assert_int_equal(result->totals.received, WORKERS * STREAMS * (PACKETS_A_STREAM + 1));
    assert_true(result->cuts >= CUTS);
    pending_destroy(result->pending);
    close(torture->flusher_fd);
    free(torture);
    free(result);
}

/* ---- One thread at a time: the rules -------------------------------------------------------- */

/* Empties what a worker handed over; returns the packets. */
static uint64_t take(struct cut *cut, struct cut_totals *totals)
{
    struct cut_lane lane = cut_take(cut, totals);
    uint64_t packets = 0, delta;
    struct counter *counter;

    while ((counter = counters_pop(lane.counters, lane.lane, &delta))) {
        size_t length;
        const uint8_t *id = counter_id(counter, &length);

        if (length == 0 || id[0] != 'd' || !delta)
            abort();
        packets += delta;
    }
    return packets;
}

static void answer_puts_a_stream_in_the_cut_of_its_packets(void **state)
{
    int fd = eventfd(0, EFD_NONBLOCK);
    struct cut *cut = cut_create(&key, 10, fd);
    struct cut_totals totals = {0};

    (void)state;
    thread_adopt(THREAD_WORKER, "worker");
    assert_int_equal(cut_number(cut), 1);
    cut_count(cut, (const uint8_t *)"d", 1);
    cut_answer(cut); /* nobody has asked: nothing happens */
    assert_int_equal(cut_number(cut), 1);

    thread_adopt(THREAD_FLUSHER, "flusher");
    cut_request(cut, 1);
    assert_false(cut_answered(cut, 1));
    thread_adopt(THREAD_WORKER, "worker");
    cut_count(cut, (const uint8_t *)"d", 1); /* still before the answer: cut 1 */
    cut_answer(cut);
    assert_int_equal(cut_number(cut), 2);
    cut_count(cut, (const uint8_t *)"d", 1);

    thread_adopt(THREAD_FLUSHER, "flusher");
    assert_true(cut_answered(cut, 1));
    assert_int_equal(take(cut, &totals), 2);
    cut_request(cut, 2);
    thread_adopt(THREAD_WORKER, "worker");
    cut_answer(cut);
    thread_adopt(THREAD_FLUSHER, "flusher");
    assert_int_equal(take(cut, &totals), 1);
    assert_int_equal(totals.received, 3);
    cut_destroy(cut);
    close(fd);
}

static void arrived_grows_over_cuts_and_holds_what_was_rejected(void **state)
{
    int fd = eventfd(0, EFD_NONBLOCK);
    struct cut *cut = cut_create(&key, 10, fd);
    struct cut_totals totals = {0};
    uint64_t expected = 0;

    (void)state;
    for (uint64_t n = 1; n <= 4; n++) {
        thread_adopt(THREAD_WORKER, "worker");
        for (uint64_t i = 0; i < n; i++)
            cut_count(cut, (const uint8_t *)"d", 1);
        cut_reject(cut, offsetof(struct balance_rejected, utf8));
        expected += n + 1;
        assert_int_equal(cut_arrived(cut), expected);
        thread_adopt(THREAD_FLUSHER, "flusher");
        cut_request(cut, n);
        thread_adopt(THREAD_WORKER, "worker");
        cut_answer(cut);
        assert_int_equal(cut_arrived(cut), expected);
        thread_adopt(THREAD_FLUSHER, "flusher");
        assert_int_equal(take(cut, &totals), n);
        assert_int_equal(totals.received, expected);
    }
    cut_destroy(cut);
    close(fd);
}

static void hurry_wakes_the_flusher_once_a_cut(void **state)
{
    int fd = eventfd(0, EFD_NONBLOCK);
    struct cut *cut = cut_create(&key, 10, fd);
    uint64_t count;

    (void)state;
    thread_adopt(THREAD_WORKER, "worker");
    cut_hurry(cut);
    cut_hurry(cut);
    thread_adopt(THREAD_FLUSHER, "flusher");
    assert_true(cut_hurried(cut));
    assert_int_equal(read(fd, &count, sizeof count), sizeof count);
    assert_int_equal(count, 1);
    cut_request(cut, 1);
    assert_false(cut_hurried(cut));
    cut_destroy(cut);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hand_over_under_load_loses_nothing),
        cmocka_unit_test(answer_puts_a_stream_in_the_cut_of_its_packets),
        cmocka_unit_test(arrived_grows_over_cuts_and_holds_what_was_rejected),
        cmocka_unit_test(hurry_wakes_the_flusher_once_a_cut),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
