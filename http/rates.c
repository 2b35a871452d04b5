/*
 * The sampling thread works the rates out as it samples, and publishes each as an atomic of its
 * own: a second lock on the way of a thousand threads would make them uneven again. The reader's,
 * handed on in turn, is the one queue in which they stand (http/reader.c).
 *
 * `lock` is for the history, which each new listener of /events asks for. It is a leaf: nothing
 * else is taken under it. The sampling thread, the only writer, reads the series without it.
 */
#include "http/rates.h"

#include "common/clock.h"
#include "common/thread.h"
#include "http/series.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

#define SAMPLE_MS 200
#define MS_NS     UINT64_C(1000000)
#define S_NS      (1000 * MS_NS)

static const uint64_t windows_ns[RATES_WINDOWS] = {
    [RATES_1_S] = S_NS, [RATES_10_S] = 10 * S_NS, [RATES_1_MIN] = 60 * S_NS};

struct rates {
    struct stats_worker *const *workers;
    size_t worker_count;
    pthread_t thread;
    sem_t stop; /* posted to end the thread */
    pthread_mutex_t lock;
    struct series series;               /* written under the lock, by the sampling thread */
    _Atomic double over[RATES_WINDOWS]; /* writer: the sampling thread */
};

/* Packets that have arrived since the start. */
static uint64_t arrived(const struct rates *rates)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < rates->worker_count; i++)
        sum += stats_get(&rates->workers[i]->packets_arrived);
    return sum;
}

/* Waits for the next sample's time. Returns whether to stop. */
static bool stopped_within_ms(struct rates *rates, uint64_t ms)
{
    uint64_t until_ns = clock_now_ns() + ms * MS_NS;
    struct timespec until = {.tv_sec = (time_t)(until_ns / S_NS),
                             .tv_nsec = (long)(until_ns % S_NS)};
    int result;

    do
        result = sem_clockwait(&rates->stop, CLOCK_MONOTONIC, &until);
    while (result && errno == EINTR);
    return result == 0;
}

static void sample(struct rates *rates)
{
    uint64_t now_ns = clock_now_ns(), value = arrived(rates);

    for (size_t i = 0; i < RATES_WINDOWS; i++)
        atomic_store_explicit(&rates->over[i],
                              series_rate(&rates->series, now_ns, value, windows_ns[i]),
                              memory_order_relaxed);
    pthread_mutex_lock(&rates->lock);
    series_add(&rates->series, now_ns, value);
    pthread_mutex_unlock(&rates->lock);
}

static void *run(void *argument)
{
    struct rates *rates = argument;

    while (!stopped_within_ms(rates, SAMPLE_MS))
        sample(rates);
    return NULL;
}

struct rates *rates_create(struct stats_worker *const *workers, size_t worker_count)
{
    struct rates *rates = calloc(1, sizeof *rates);
    int error;

    thread_assert_role(THREAD_MAIN);
    if (!rates)
        return NULL;
    rates->workers = workers;
    rates->worker_count = worker_count;
    sem_init(&rates->stop, 0, 0);
    pthread_mutex_init(&rates->lock, NULL);
    series_start(&rates->series, clock_now_ns(), arrived(rates));
    error = thread_start(&rates->thread, THREAD_HTTP, "http-rates", run, rates);
    if (error) {
        pthread_mutex_destroy(&rates->lock);
        sem_destroy(&rates->stop);
        free(rates);
        errno = -error;
        return NULL;
    }
    return rates;
}

void rates_destroy(struct rates *rates)
{
    if (!rates)
        return;
    sem_post(&rates->stop);
    pthread_join(rates->thread, NULL);
    pthread_mutex_destroy(&rates->lock);
    sem_destroy(&rates->stop);
    free(rates);
}

double rates_over(const struct rates *rates, enum rates_window window)
{
    return atomic_load_explicit(&rates->over[window], memory_order_relaxed);
}

size_t rates_history(struct rates *rates, double seconds[RATES_HISTORY_S])
{
    size_t length;

    pthread_mutex_lock(&rates->lock);
    length = series_seconds(&rates->series, seconds, RATES_HISTORY_S);
    pthread_mutex_unlock(&rates->lock);
    return length;
}
