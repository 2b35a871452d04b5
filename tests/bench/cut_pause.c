/*
 * How long a cut keeps a worker from its packets.
 *
 * One thread counts packets as a worker does, in groups, over devices in random order, and answers
 * for a cut between two groups. Another one plays the flusher: it asks for a cut once every device
 * is dirty, and empties what was handed over meanwhile. A pause is the time from the end of the
 * group before a cut to the end of the group behind it, so that what the swap makes slow behind it
 * is in it, and so is one ordinary group.
 *
 * The worker has the first processor that this program may run on, the flusher the last one: were
 * they to share one, the flusher's turns would be in the figures. The machine pauses threads too,
 * cut or no cut. So the pause is also told in CPU time of the thread, in which it does not run
 * while others do, and the longest group with no cut near is told as what the machine does by
 * itself. CPU time is read outside of the pause, by a system call before and one behind: they are
 * in that figure, which can so be the greater one, and the pause is free of them.
 *
 *     bench_cut_pause DEVICES SECONDS
 *
 * prints one line of JSON. It fails when a packet gets lost between the two threads.
 */
#include "aggregator/counters.h"
#include "aggregator/cut.h"
#include "common/clock.h"
#include "common/thread.h"
#include "common/wake.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ID_BYTES = 14, MAX_DEVICES = 10000000, EXIT_USAGE = 2 };

struct bench {
    struct cut *cut;
    char (*ids)[ID_BYTES]; /* "device-0000000" */
    size_t devices;
    int flusher_fd;
    uint64_t end_ns;
    _Atomic uint64_t passes; /* writer: worker; times that it went through all devices */
    atomic_bool over;        /* writer: flusher; it will not ask again */

    /* Of the worker, for main once it has ended. */
    uint64_t counted, cuts, pause_ns, pause_cpu_ns, undisturbed_ns;

    /* Of the flusher, likewise. */
    uint64_t taken, dirty_least;
    struct cut_totals totals;
};

static uint64_t thread_cpu_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void note_longest(uint64_t *longest, uint64_t value)
{
    if (value > *longest)
        *longest = value;
}

/* Keeps the calling thread on the first, or else the last, of its processors. */
static void pin(bool first)
{
    cpu_set_t allowed, one;
    int chosen = -1;

    if (sched_getaffinity(0, sizeof allowed, &allowed))
        return; /* then it runs where it may; the figures are not as good */
    for (int i = 0; i < CPU_SETSIZE && (chosen < 0 || !first); i++) {
        if (CPU_ISSET(i, &allowed))
            chosen = i;
    }
    CPU_ZERO(&one);
    CPU_SET(chosen, &one);
    sched_setaffinity(0, sizeof one, &one);
}

/* ---- The worker ----------------------------------------------------------------------------- */

static void count_group(struct bench *bench, size_t first)
{
    size_t end = first + COUNTERS_GROUP < bench->devices ? first + COUNTERS_GROUP : bench->devices;

    struct packet_id group[COUNTERS_GROUP];

    for (size_t i = first; i < end; i++)
        group[i - first] = (struct packet_id){(const uint8_t *)bench->ids[i], ID_BYTES};
    cut_count_each(bench->cut, group, end - first);
    bench->counted += end - first;
}

/* Answers for a cut, counts the group behind it, and times both. */
static void pause_for_cut(struct bench *bench, size_t first)
{
    uint64_t cpu = thread_cpu_ns(), start = clock_now_ns();

    cut_answer(bench->cut);
    count_group(bench, first);
    note_longest(&bench->pause_ns, clock_now_ns() - start);
    note_longest(&bench->pause_cpu_ns, thread_cpu_ns() - cpu);
    bench->cuts++;
}

/* Counts every device once. The first pass enters them, which is no steady state: not timed. */
static void count_all(struct bench *bench, bool timed)
{
    for (size_t first = 0; first < bench->devices; first += COUNTERS_GROUP) {
        uint64_t start = clock_now_ns();

        if (cut_asked(bench->cut)) {
            pause_for_cut(bench, first);
            continue;
        }
        count_group(bench, first);
        if (timed)
            note_longest(&bench->undisturbed_ns, clock_now_ns() - start);
    }
    atomic_fetch_add_explicit(&bench->passes, 1, memory_order_release);
}

static void *work(void *argument)
{
    struct bench *bench = argument;

    pin(true);
    for (bool timed = false; !atomic_load(&bench->over); timed = true)
        count_all(bench, timed);
    return NULL;
}

/* ---- The flusher ---------------------------------------------------------------------------- */

/* Cut n, when the worker has been through all devices since the last one. */
static void cut_once(struct bench *bench, uint64_t n)
{
    uint64_t passes = atomic_load_explicit(&bench->passes, memory_order_acquire);
    struct pollfd wake = {.fd = bench->flusher_fd, .events = POLLIN};
    uint64_t dirty = 0, delta;
    struct cut_lane lane;

    while (atomic_load_explicit(&bench->passes, memory_order_acquire) < passes + 2)
        usleep(100);
    cut_request(bench->cut, n);
    while (!cut_answered(bench->cut, n)) {
        poll(&wake, 1, 1000);
        wake_clear(bench->flusher_fd);
    }
    lane = cut_take(bench->cut, &bench->totals);
    for (; counters_pop(lane.counters, lane.lane, &delta); dirty++)
        bench->taken += delta;
    if (n == 1 || dirty < bench->dirty_least)
        bench->dirty_least = dirty;
}

static void *flush(void *argument)
{
    struct bench *bench = argument;
    uint64_t n = 0;

    pin(false);
    do
        cut_once(bench, ++n);
    while (clock_now_ns() < bench->end_ns);
    atomic_store(&bench->over, true);
    return NULL;
}

/* ---- The run -------------------------------------------------------------------------------- */

/* Device ids in an order that no prefetcher guesses; the same in every run. */
static void make_ids(struct bench *bench)
{
    uint64_t random = 88172645463325252u;
    char text[ID_BYTES + 1];

    for (size_t i = 0; i < bench->devices; i++) {
        snprintf(text, sizeof text, "device-%07zu", i % MAX_DEVICES);
        memcpy(bench->ids[i], text, ID_BYTES);
    }
    for (size_t i = bench->devices - 1; i > 0; i--) {
        size_t j;
        char id[ID_BYTES];

        random ^= random << 13; /* xorshift64 */
        random ^= random >> 7;
        random ^= random << 17;
        j = random % (i + 1);
        memcpy(id, bench->ids[i], ID_BYTES);
        memcpy(bench->ids[i], bench->ids[j], ID_BYTES);
        memcpy(bench->ids[j], id, ID_BYTES);
    }
}

static int run(struct bench *bench)
{
    pthread_t worker, flusher;

    if (thread_start(&worker, THREAD_WORKER, "worker-0", work, bench) ||
        thread_start(&flusher, THREAD_FLUSHER, "flusher", flush, bench))
        exit(EXIT_FAILURE); /* a worker may run already */
    pthread_join(flusher, NULL);
    pthread_join(worker, NULL);
    printf("{\"cuts\": %" PRIu64 ", \"dirty_devices\": %" PRIu64 ", \"pause_us\": %.1f, "
           "\"pause_cpu_us\": %.1f, \"undisturbed_us\": %.1f}\n",
           bench->cuts, bench->dirty_least, (double)bench->pause_ns / 1e3,
           (double)bench->pause_cpu_ns / 1e3, (double)bench->undisturbed_ns / 1e3);
    /* What was counted behind the last cut is in no cut. */
    if (bench->taken != bench->totals.received || bench->taken > bench->counted) {
        fprintf(stderr, "cut_pause: counted %" PRIu64 ", in cuts %" PRIu64 ", taken %" PRIu64 "\n",
                bench->counted, bench->totals.received, bench->taken);
        return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    static const struct hash_key key = {3, 4};
    struct bench bench = {0};
    double seconds;
    int status = EXIT_FAILURE;

    bench.devices = argc == 3 ? strtoull(argv[1], NULL, 10) : 0;
    seconds = argc == 3 ? strtod(argv[2], NULL) : 0;
    if (!bench.devices || bench.devices > MAX_DEVICES || !(seconds > 0)) {
        fprintf(stderr, "Usage: cut_pause DEVICES SECONDS (at most %d devices)\n", MAX_DEVICES);
        return EXIT_USAGE;
    }
    bench.end_ns = clock_now_ns() + (uint64_t)(seconds * 1e9);
    bench.flusher_fd = wake_create();
    bench.ids = malloc(bench.devices * ID_BYTES);
    bench.cut = bench.flusher_fd < 0 ? NULL : cut_create(&key, bench.devices, bench.flusher_fd);
    if (bench.ids && bench.cut) {
        make_ids(&bench);
        status = run(&bench);
    } else {
        fprintf(stderr, "cut_pause: %s\n", strerror(errno ? errno : ENOMEM));
    }
    cut_destroy(bench.cut);
    free(bench.ids);
    return status;
}
