/*
 * What a second brings is a tick: texts that are rendered once and shared by all listeners, each of
 * which holds the tick while it sends. A listener takes the newest tick whenever it is done with
 * the one before. If that was the tick right before, it gets the rows of the top table that changed
 * since; else, being new or slow, it gets the whole table. So a slow listener skips seconds and
 * is never wrong, and ticks do not pile up: at most one a listener, and the newest. The kernel is
 * kept from piling them up instead: it would hold minutes of them for a client that has stopped
 * reading, and give it all that as news when it goes on.
 *
 * The thread never waits for Redis, since a summary is due each second, with or without it. It
 * glances at the reader, which sets a reading off, and a few times more for as long as a quick one
 * takes.
 *
 * `lock` is a leaf: nothing else is taken under it. It guards all but the tables and their number,
 * which are the thread's.
 */
#include "http/events.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/thread.h"
#include "http/auth.h"
#include "http/events_tick.h"
#include "http/http.h"
#include "http/peer_socket.h"
#include "http/reader.h"
#include "http/reply.h"
#include "http/request.h"
#include "http/text_buffer.h"
#include "http/top_table.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TICK_MS       1000
#define GLANCE_MS     20   /* between two glances at the reader */
#define GLANCES       10   /* at most, a tick */
#define RETRY_S       5    /* who is refused shall ask again then */
#define UNSENT_BYTES  4096 /* about a tick's */
#define MS_PER_SECOND 1000
#define NS_PER_MS     1000000

/* On the stack of the HTTP thread that serves it. */
struct listener {
    int socket; /* negative: not known */
    struct listener *next;
};

struct events {
    const struct http_shared *shared;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wanted;    /* the first listener came, or `stopping` */
    pthread_cond_t published; /* a tick was, or `stopping` */
    struct events_tick *tick; /* the newest; NULL while nobody listens */
    struct listener *listeners;
    size_t count; /* of listeners */
    bool stopping;

    struct top_table tables[2];
    uint64_t ticks; /* tables[ticks % 2] is the last tick's */
};

/* ---- Ticks ---------------------------------------------------------------------------------- */

/* Lets go of a tick, or of NULL; under the lock. Returns what the caller then frees. */
static struct events_tick *let_go(struct events_tick *tick)
{
    return tick && --tick->holders == 0 ? tick : NULL;
}

static void release(struct events *events, struct events_tick *tick)
{
    pthread_mutex_lock(&events->lock);
    tick = let_go(tick);
    pthread_mutex_unlock(&events->lock);
    events_tick_destroy(tick);
}

/* Makes `tick` the newest, unless nobody listens any more: who comes later shall get newer ones. */
static void publish(struct events *events, struct events_tick *tick)
{
    struct events_tick *old = tick;

    pthread_mutex_lock(&events->lock);
    if (events->count) {
        old = events->tick;
        events->tick = tick;
        pthread_cond_broadcast(&events->published);
    }
    old = let_go(old);
    pthread_mutex_unlock(&events->lock);
    events_tick_destroy(old);
}

/* Renders the next tick; NULL when memory is short, and the last one remains what it was. */
static struct events_tick *make_tick(struct events *events, const struct reader_answer *answer)
{
    bool there = answer->result == COUNT_SOURCE_OK;
    const struct top_table *before = &events->tables[events->ticks % 2];
    struct top_table *table = &events->tables[(events->ticks + 1) % 2];
    struct events_tick *tick;

    if (top_table_fill(table, there ? reading_snapshot(answer->reading) : NULL,
                       there ? reading_gained_ms(answer->reading) : 0))
        return NULL;
    tick = events_tick_create(events->shared, answer, table, before);
    if (!tick)
        return NULL;
    tick->number = ++events->ticks;
    tick->holders = 1;
    return tick;
}

/* ---- The thread ----------------------------------------------------------------------------- */

/* Waits until a tick is due and somebody listens; false to stop. */
static bool wait_until_due(struct events *events, uint64_t due_ms)
{
    struct timespec due = {.tv_sec = (time_t)(due_ms / MS_PER_SECOND),
                           .tv_nsec = (long)(due_ms % MS_PER_SECOND) * NS_PER_MS};
    bool stopping;

    pthread_mutex_lock(&events->lock);
    while (!events->stopping && (!events->count || clock_now_ms() < due_ms)) {
        if (events->count)
            pthread_cond_timedwait(&events->wanted, &events->lock, &due);
        else
            pthread_cond_wait(&events->wanted, &events->lock);
    }
    stopping = events->stopping;
    pthread_mutex_unlock(&events->lock);
    return !stopping;
}

/* Whether a moment may bring a newer snapshot than there was at `now_ms`, or the first. */
static bool is_outdated(const struct events *events, const struct reader_answer *answer,
                        uint64_t now_ms)
{
    if (answer->result == COUNT_SOURCE_OK)
        return reading_began_ms(answer->reading) + events->shared->options->refresh_ms < now_ms;
    return answer->result == COUNT_SOURCE_UNAVAILABLE;
}

/* Gets the counts as they are now, if the reader can read them within a moment; else as they were.
 */
static void look(struct events *events, struct reader_answer *answer)
{
    uint64_t now_ms = clock_now_ms();

    reader_glance(events->shared->reader, answer);
    for (int i = 1; i < GLANCES && is_outdated(events, answer, now_ms); i++) {
        reading_release(answer->reading);
        nanosleep(&(struct timespec){.tv_nsec = GLANCE_MS * NS_PER_MS}, NULL);
        reader_glance(events->shared->reader, answer);
    }
}

static void *run(void *argument)
{
    struct events *events = argument;
    uint64_t due_ms = 0;

    while (wait_until_due(events, due_ms)) {
        struct reader_answer answer;
        struct events_tick *tick;

        due_ms = clock_now_ms() + TICK_MS;
        look(events, &answer);
        tick = make_tick(events, &answer);
        reading_release(answer.reading);
        if (tick)
            publish(events, tick);
    }
    return NULL;
}

static void fini_locks(struct events *events)
{
    pthread_cond_destroy(&events->published);
    pthread_cond_destroy(&events->wanted);
    pthread_mutex_destroy(&events->lock);
}

struct events *events_create(const struct http_shared *shared)
{
    struct events *events = calloc(1, sizeof *events);
    pthread_condattr_t monotonic;
    int error;

    thread_assert_role(THREAD_MAIN);
    if (!events)
        return NULL;
    events->shared = shared;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC); /* that of clock_now_ms() */
    pthread_mutex_init(&events->lock, NULL);
    pthread_cond_init(&events->wanted, &monotonic);
    pthread_cond_init(&events->published, NULL);
    pthread_condattr_destroy(&monotonic);
    error = thread_start(&events->thread, THREAD_HTTP, "http-events", run, events);
    if (error) {
        fini_locks(events);
        free(events);
        errno = -error;
        return NULL;
    }
    return events;
}

void events_stop(struct events *events)
{
    thread_assert_role(THREAD_MAIN);
    pthread_mutex_lock(&events->lock);
    events->stopping = true;
    for (const struct listener *l = events->listeners; l; l = l->next)
        if (l->socket >= 0)
            peer_socket_shut(l->socket); /* civetweb would take 2 s to see that it must stop */
    pthread_cond_signal(&events->wanted);
    pthread_cond_broadcast(&events->published);
    pthread_mutex_unlock(&events->lock);
}

void events_destroy(struct events *events)
{
    if (!events)
        return;
    events_stop(events);
    pthread_join(events->thread, NULL);
    for (size_t i = 0; i < 2; i++)
        top_table_free(&events->tables[i]);
    fini_locks(events);
    free(events);
}

/* ---- Listeners ------------------------------------------------------------------------------ */

size_t events_listeners(struct events *events)
{
    size_t count;

    pthread_mutex_lock(&events->lock);
    count = events->count;
    pthread_mutex_unlock(&events->lock);
    return count;
}

/* Takes a listener in; false when there are too many, or the server stops. */
static bool join(struct events *events, struct listener *listener)
{
    bool taken;

    pthread_mutex_lock(&events->lock);
    taken = !events->stopping && events->count < EVENTS_MAX_LISTENERS;
    if (taken) {
        listener->next = events->listeners;
        events->listeners = listener;
        if (events->count++ == 0)
            pthread_cond_signal(&events->wanted);
    }
    pthread_mutex_unlock(&events->lock);
    return taken;
}

static void leave(struct events *events, const struct listener *listener)
{
    struct listener **link = &events->listeners;
    struct events_tick *old = NULL;

    pthread_mutex_lock(&events->lock);
    while (*link != listener)
        link = &(*link)->next;
    *link = listener->next;
    if (--events->count == 0) {
        old = let_go(events->tick);
        events->tick = NULL;
    }
    pthread_mutex_unlock(&events->lock);
    events_tick_destroy(old);
}

/* Makes the listener's socket known to events_stop(), and the kernel hold little of what goes
 * there. */
static void prepare_socket(struct events *events, struct listener *listener,
                           struct mg_connection *connection)
{
    int socket = peer_socket_find(connection);

    if (socket < 0) {
        log_debug("a listener's socket was not found: %s", strerror(-socket));
        return;
    }
    peer_socket_bound_unsent(socket, UNSENT_BYTES);
    pthread_mutex_lock(&events->lock);
    listener->socket = socket;
    pthread_mutex_unlock(&events->lock);
}

/* Waits for a tick other than number `last` and takes it; NULL to stop. */
static struct events_tick *next_tick(struct events *events, uint64_t last)
{
    struct events_tick *tick = NULL;

    pthread_mutex_lock(&events->lock);
    while (!events->stopping && (!events->tick || events->tick->number == last))
        pthread_cond_wait(&events->published, &events->lock);
    if (!events->stopping) {
        tick = events->tick;
        tick->holders++;
    }
    pthread_mutex_unlock(&events->lock);
    return tick;
}

static int send_history(struct request *request)
{
    struct text_buffer text = {0};
    int error = events_tick_render_history(&text, request->shared->rates);

    if (!error)
        error = reply_endless_send(request, text.bytes, text.length);
    text_buffer_free(&text);
    return error;
}

/* Sends ticks until the client goes, its token does, or the server stops. */
static void send_ticks(struct request *request, struct events *events)
{
    uint64_t last = 0;
    struct events_tick *tick;
    int error = 0;

    while (!error && auth_holds(request) && (tick = next_tick(events, last))) {
        const struct text_buffer *summary = &tick->summary;
        const struct text_buffer *top =
            last && tick->number == last + 1 ? &tick->changed : &tick->whole;

        error = reply_endless_send(request, summary->bytes, summary->length);
        if (!error)
            error = reply_endless_send(request, top->bytes, top->length);
        last = tick->number;
        release(events, tick);
    }
}

int events_serve(struct request *request)
{
    struct events *events = request->shared->events;
    struct listener listener = {.socket = -1};

    if (!join(events, &listener)) {
        reply_header(request, "Retry-After: %d", RETRY_S);
        return reply_problem(request, 503, "%d clients listen already, or the server stops",
                             EVENTS_MAX_LISTENERS);
    }
    prepare_socket(events, &listener, request->connection);
    if (reply_endless_start(request, "text/event-stream") == 0 && send_history(request) == 0)
        send_ticks(request, events);
    leave(events, &listener);
    return 200;
}
