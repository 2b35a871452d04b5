/*
 * The flusher's loop: wait until a cut is due; cut; commit what is pending batch by batch; publish.
 * It gives up a commit only when it is fenced, or when the deadline of a stop has passed; otherwise
 * it tries for ever, with growing pauses.
 *
 * What Redis refuses (a field that is no integer) goes to the quarantine hash. What is refused
 * there too is tried again: a cut is committed only when all of it is in Redis, one place or the
 * other.
 */
#include "aggregator/flusher.h"

#include "aggregator/batch.h"
#include "aggregator/ledger.h"
#include "aggregator/pending.h"
#include "aggregator/redis_contact.h"
#include "aggregator/stop.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/thread.h"
#include "common/wake.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <semaphore.h>
#include <stdlib.h>

#define FLOOR_MS        5    /* between two cuts, however many streams wait for their Acks */
#define PROBE_MS        1000 /* without a commit, before Redis is asked whether it is there */
#define FIRST_PROBE_S   1    /* the start waits so long for the first answer */
#define STOP_TIMEOUT_MS 1000 /* bounds a wait for Redis while stopping */
#define FENCED_MS       1000 /* between two looks whether to stop, once fenced */

struct flusher {
    struct flusher_options options;
    struct ledger *ledger;
    struct pending *pending;
    struct batch batches[2];
    struct batch *batch, *next; /* the one to be committed, and the one behind it */
    struct balance_values values;
    pthread_t thread;
    bool started;
    sem_t probed; /* posted when Redis was asked for the first time */

    uint64_t cut;    /* the last one made */
    uint64_t cut_ms; /* when */
    bool fenced;
    uint64_t unknown; /* packets given up, which may be in Redis or not */
    struct redis_contact contact;
    struct log_limit refused_limit;
    struct stop stop;
};

struct flusher *flusher_create(const struct flusher_options *options)
{
    struct flusher *flusher = calloc(1, sizeof *flusher);

    if (!flusher)
        return NULL;
    flusher->options = *options;
    flusher->batch = &flusher->batches[0];
    flusher->next = &flusher->batches[1];
    flusher->contact.redis = &flusher->options.redis;
    stop_init(&flusher->stop, options->wake_fd);
    sem_init(&flusher->probed, 0, 0);
    flusher->ledger = ledger_create(&flusher->options.redis, options->instance, options->stats);
    flusher->pending =
        pending_create(&options->hash_key, (size_t)options->max_devices, options->cut_count);
    if (!flusher->ledger || !flusher->pending) {
        flusher_destroy(flusher);
        errno = ENOMEM;
        return NULL;
    }
    return flusher;
}

void flusher_destroy(struct flusher *flusher)
{
    if (!flusher)
        return;
    ledger_destroy(flusher->ledger);
    pending_destroy(flusher->pending);
    sem_destroy(&flusher->probed);
    free(flusher);
}

/* ---- Waiting ------------------------------------------------------------------------------ */

uint64_t flusher_alive_ms(const struct flusher *flusher)
{
    return stop_alive_ms(&flusher->stop);
}

static bool hurried(const struct flusher *flusher)
{
    for (size_t i = 0; i < flusher->options.cut_count; i++) {
        if (cut_hurried(flusher->options.cuts[i]))
            return true;
    }
    return false;
}

/* Tells the readers of statistics how things stand. */
static void publish(struct flusher *flusher)
{
    balance_publish(flusher->options.balance, &flusher->values);
    stats_set(&flusher->options.stats->cpu_ns, clock_thread_cpu_ns());
}

/* ---- Cut ---------------------------------------------------------------------------------- */

/* The packets that were counted for a device. */
static uint64_t counted(const struct cut_totals *totals)
{
    return totals->received - balance_rejected_total(&totals->rejected);
}

/* Asks every worker for the next cut, waits for all of them, and takes what they hand over. */
static void make_cut(struct flusher *flusher)
{
    const struct flusher_options *options = &flusher->options;
    struct cut_totals totals = {.received = flusher->values.received,
                                .rejected = flusher->values.rejected};
    uint64_t n = ++flusher->cut, before = counted(&totals);

    flusher->cut_ms = clock_now_ms();
    for (size_t i = 0; i < options->cut_count; i++)
        cut_request(options->cuts[i], n);
    for (size_t i = 0; i < options->cut_count; i++) {
        while (!cut_answered(options->cuts[i], n))
            stop_nap(&flusher->stop, 1000);
    }
    for (size_t i = 0; i < options->cut_count; i++)
        pending_take(flusher->pending, i, cut_take(options->cuts[i], &totals));
    flusher->values.pending += counted(&totals) - before;
    flusher->values.received = totals.received;
    flusher->values.rejected = totals.rejected;
    stats_add(&options->stats->cuts, 1);
    publish(flusher);
}

/* ---- Commit ------------------------------------------------------------------------------- */

static void note_fenced(struct flusher *flusher)
{
    flusher->fenced = true;
    log_error(
        "fenced: the ledger of --instance %s is another tallyd's, which has started since; this "
        "one stops. Give each instance a name of its own",
        flusher->options.instance);
    wake_send(flusher->options.event_fd);
}

static void note_success(struct flusher *flusher)
{
    commits_exchange_done(flusher->options.commits);
    redis_contact_answered(&flusher->contact, clock_now_ms());
}

/* While stopping it is tried in quick succession, as long as there is time. */
static void note_trouble(struct flusher *flusher, const char *why)
{
    uint64_t pause_ms = redis_contact_failed(&flusher->contact, why);

    commits_exchange_failed(flusher->options.commits);
    if (stop_requested(&flusher->stop))
        stop_nap(&flusher->stop, REDIS_CONTACT_FIRST_MS);
    else
        stop_pause(&flusher->stop, pause_ms);
}

/* The batch went in: books it, and moves on what Redis refused. Returns false when some of it is
 * in Redis nowhere and must be tried again. */
static bool settle_batch(struct flusher *flusher)
{
    struct batch *batch = flusher->batch;
    uint64_t refused = 0, packets = batch_packets(batch);

    for (size_t i = 0; i < batch->count; i++) {
        if (!batch->entries[i].refused)
            continue;
        pending_refuse(flusher->pending, &batch->entries[i]);
        refused += batch->entries[i].delta;
        if (!batch->quarantine)
            stats_add(&flusher->options.stats->quarantined_fields, 1);
    }
    log_debug("committed a batch: %" PRIu64 " packets, %" PRIu64 " of them refused", packets,
              refused);
    flusher->values.pending -= packets - refused;
    flusher->values.committed += packets - refused;
    if (batch->quarantine)
        flusher->values.quarantined += packets - refused;
    if (refused)
        log_event(LOG_ERROR,
                  &(struct log_about){.kind = "redis_refuses", .limit = &flusher->refused_limit},
                  "Redis refuses counts in %s%s: the key is no hash, or a field of it no 64-bit "
                  "integer; %" PRIu64 " packets go to %s:quarantine",
                  flusher->options.redis.key, batch->quarantine ? ":quarantine" : "", refused,
                  flusher->options.redis.key);
    publish(flusher);
    batch->count = 0;
    return !(refused && batch->quarantine);
}

static void note_committed(struct flusher *flusher, uint64_t ns)
{
    struct stats_flusher *stats = flusher->options.stats;

    stats_set(&stats->last_commit_ns, ns);
    histogram_add(&stats->commit_ns, &stats_commit_ns_bounds, ns);
    histogram_add(&stats->batch_devices, &stats_batch_devices_bounds, flusher->batch->count);
}

/* Commits the batch at hand, however long it takes. Returns false when it gave up: fenced, or out
 * of time, but not before one try. */
static bool commit_batch(struct flusher *flusher)
{
    uint64_t begun_ns = clock_now_ns();

    do {
        enum ledger_result result;

        stop_stamp(&flusher->stop);
        commits_exchange_begun(flusher->options.commits);
        if (stop_requested(&flusher->stop))
            ledger_set_timeout(flusher->ledger, STOP_TIMEOUT_MS);
        result = ledger_commit(flusher->ledger, flusher->batch,
                               flusher->next->count ? flusher->next : NULL);
        if (result == LEDGER_FENCED) {
            note_fenced(flusher);
            return false;
        }
        if (result == LEDGER_OK) {
            note_committed(flusher, clock_now_ns() - begun_ns);
            if (settle_batch(flusher)) {
                note_success(flusher);
                return true;
            }
            note_trouble(flusher, "the quarantine hash takes no counts");
            return !stop_overdue(&flusher->stop);
        }
        note_trouble(flusher, ledger_error(flusher->ledger));
    } while (!stop_overdue(&flusher->stop));
    return false;
}

/* Freezes the next batch of what is pending. Returns its entries, 0 when nothing is. */
static size_t fill(struct flusher *flusher, struct batch *batch)
{
    struct stats_flusher *stats = flusher->options.stats;
    size_t count = pending_fill(flusher->pending, batch);
    uint64_t overflowed = pending_overflowed(flusher->pending);

    if (overflowed && !stats_get(&stats->overflow_packets))
        log_warn("--max-devices (%" PRIu64 ") or that of a token is reached, or memory is short: "
                 "packets of further devices go to " COUNTERS_OVERFLOW_ID,
                 flusher->options.max_devices);
    stats_set(&stats->overflow_packets, overflowed);
    stats_set(&stats->devices, pending_devices(flusher->pending));
    return count;
}

/* Commits all that is pending, then tells the workers. Returns false when it gave up. */
static bool commit_pending(struct flusher *flusher)
{
    const struct flusher_options *options = &flusher->options;

    while (flusher->batch->count || fill(flusher, flusher->batch)) {
        struct batch *batch = flusher->batch;

        fill(flusher, flusher->next);
        if (!commit_batch(flusher))
            return false;
        flusher->batch = flusher->next;
        flusher->next = batch;
    }
    assert(flusher->values.pending == 0); /* the lanes held what the workers say they counted */
    flusher->values.pending = 0;          /* and if not, the balance shall show it */
    publish(flusher);
    commits_publish(options->commits, flusher->cut);
    for (size_t i = 0; i < options->cut_count; i++)
        cut_wake_worker(options->cuts[i]);
    return true;
}

/* Keeps an eye on Redis, and on the ledger, while nothing is to be committed. */
static void probe_if_idle(struct flusher *flusher)
{
    enum ledger_result result;

    if (flusher->contact.reached && clock_now_ms() < flusher->contact.answered_ms + PROBE_MS)
        return;
    stop_stamp(&flusher->stop);
    if (flusher->contact.reached)
        commits_exchange_begun(flusher->options.commits);
    result = ledger_probe(flusher->ledger);
    if (result == LEDGER_OK)
        note_success(flusher);
    else if (result == LEDGER_FENCED)
        note_fenced(flusher);
    else
        note_trouble(flusher, ledger_error(flusher->ledger));
}

/* Sleeps until a cut is due, the flusher must stop, or it is fenced; asks after Redis meanwhile. */
static void wait_until_due(struct flusher *flusher)
{
    while (!stop_requested(&flusher->stop) && !flusher->fenced) {
        uint64_t interval = hurried(flusher) ? FLOOR_MS : flusher->options.interval_ms;
        uint64_t due = flusher->cut_ms + interval, now = clock_now_ms();

        if (now >= due)
            return;
        stop_nap(&flusher->stop, due - now < PROBE_MS ? due - now : PROBE_MS);
        probe_if_idle(flusher);
    }
}

/* ---- The thread --------------------------------------------------------------------------- */

/* Takes what is in the batches and in the lanes off them, so that a last cut can be made. */
static void give_up_pending(struct flusher *flusher)
{
    if (ledger_unresolved(flusher->ledger))
        flusher->unknown += batch_packets(flusher->batch);
    pending_return(flusher->pending, flusher->batch);
    pending_return(flusher->pending, flusher->next);
    pending_stow(flusher->pending);
}

static void *run(void *argument)
{
    struct flusher *flusher = argument;
    bool gave_up = false;

    probe_if_idle(flusher);
    sem_post(&flusher->probed);
    while (!gave_up && !flusher->fenced && !stop_requested(&flusher->stop)) {
        make_cut(flusher);
        gave_up = !commit_pending(flusher);
        if (!gave_up)
            wait_until_due(flusher);
    }
    while (!stop_requested(
        &flusher->stop)) /* fenced: the last cut comes after main has ended the streams */
        stop_nap(&flusher->stop, FENCED_MS);
    if (gave_up)
        give_up_pending(flusher);
    make_cut(flusher);
    if (!gave_up && !flusher->fenced)
        commit_pending(flusher);
    return NULL;
}

int flusher_start(struct flusher *flusher)
{
    int error;
    struct timespec until;

    stop_stamp(&flusher->stop);
    error = thread_start(&flusher->thread, THREAD_FLUSHER, "flusher", run, flusher);
    if (error)
        return error;
    flusher->started = true;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += FIRST_PROBE_S;
    while (sem_clockwait(&flusher->probed, CLOCK_MONOTONIC, &until) && errno == EINTR)
        ;
    return 0;
}

/* What is pending still. */
static struct flusher_result take_stock(struct flusher *flusher)
{
    struct flusher_result left = {.fenced = flusher->fenced};

    give_up_pending(flusher);
    left.packets = pending_drop(flusher->pending, &left.devices);
    left.unknown = flusher->unknown;
    return left;
}

struct flusher_result flusher_stop(struct flusher *flusher, uint64_t deadline_ms)
{
    if (!flusher->started)
        return (struct flusher_result){0};
    stop_request(&flusher->stop, deadline_ms);
    pthread_join(flusher->thread, NULL);
    flusher->started = false;
    return take_stock(flusher);
}
