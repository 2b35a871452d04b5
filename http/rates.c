/*
 * The statistics are read under the lock, so the sums that stand in the series, and those that it
 * is compared with, never fall from one to the next.
 *
 * `lock` is a leaf: nothing else is taken under it. It is held for some tens of look-ups at most.
 */
#include "http/rates.h"

#include "common/clock.h"
#include "common/thread.h"
#include "http/series.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

#define SAMPLE_MS 200
#define MS_NS     UINT64_C(1000000)

struct rates {
    struct stats_worker *const *workers;
    size_t worker_count;
    pthread_t thread;
    sem_t stop; /* posted to end the thread */
    pthread_mutex_t lock;
    struct series series; /* under the lock */
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
    struct timespec until = {.tv_sec = (time_t)(until_ns / (1000 * MS_NS)),
                             .tv_nsec = (long)(until_ns % (1000 * MS_NS))};
    int result;

    do
        result = sem_clockwait(&rates->stop, CLOCK_MONOTONIC, &until);
    while (result && errno == EINTR);
    return result == 0;
}

static void *run(void *argument)
{
    struct rates *rates = argument;

    while (!stopped_within_ms(rates, SAMPLE_MS)) {
        pthread_mutex_lock(&rates->lock);
        series_add(&rates->series, clock_now_ns(), arrived(rates));
        pthread_mutex_unlock(&rates->lock);
    }
    return NULL;
}

struct rates *rates_create(struct stats_worker *const *workers, size_t worker_count)
{
    struct rates *rates = malloc(sizeof *rates);
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

double rates_over(struct rates *rates, uint64_t window_ms)
{
    double rate;

    pthread_mutex_lock(&rates->lock);
    rate = series_rate(&rates->series, clock_now_ns(), arrived(rates), window_ms * MS_NS);
    pthread_mutex_unlock(&rates->lock);
    return rate;
}

size_t rates_history(struct rates *rates, double seconds[RATES_HISTORY_S])
{
    size_t length;

    pthread_mutex_lock(&rates->lock);
    length = series_seconds(&rates->series, seconds, RATES_HISTORY_S);
    pthread_mutex_unlock(&rates->lock);
    return length;
}
