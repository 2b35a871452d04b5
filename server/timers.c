/*
 * A binary heap in an array, from place 1 on, so that a timer's parent is at half its place, and
 * place 0 is free to say that it is not set. Room is kept once it was needed.
 *
 * Invariant: no timer is due before its parent, and each knows its place.
 */
#include "server/timers.h"

#include <errno.h>
#include <stdlib.h>

#define FIRST_ROOM 64

struct timers {
    struct timer **heap; /* heap[0] is not used */
    size_t count, room;
};

struct timers *timers_create(void)
{
    struct timers *timers = calloc(1, sizeof *timers);

    if (!timers)
        errno = ENOMEM;
    return timers;
}

void timers_destroy(struct timers *timers)
{
    if (!timers)
        return;
    free(timers->heap);
    free(timers);
}

static void put(struct timers *timers, struct timer *timer, size_t place)
{
    timers->heap[place] = timer;
    timer->place = place;
}

/* Finds the place of a timer that may be due before those above `place`, which is free. */
static void rise(struct timers *timers, struct timer *timer, size_t place)
{
    for (; place > 1 && timers->heap[place / 2]->due_ms > timer->due_ms; place /= 2)
        put(timers, timers->heap[place / 2], place);
    put(timers, timer, place);
}

/* The same of one that may be due after those below. */
static void sink(struct timers *timers, struct timer *timer, size_t place)
{
    for (;;) {
        size_t child = 2 * place;

        if (child < timers->count && timers->heap[child + 1]->due_ms < timers->heap[child]->due_ms)
            child++;
        if (child > timers->count || timers->heap[child]->due_ms >= timer->due_ms)
            break;
        put(timers, timers->heap[child], place);
        place = child;
    }
    put(timers, timer, place);
}

static void settle(struct timers *timers, struct timer *timer, size_t place)
{
    if (place > 1 && timers->heap[place / 2]->due_ms > timer->due_ms)
        rise(timers, timer, place);
    else
        sink(timers, timer, place);
}

static int make_room(struct timers *timers)
{
    size_t room = timers->room ? 2 * timers->room : FIRST_ROOM;
    struct timer **heap;

    if (timers->count < timers->room)
        return 0;
    heap = realloc(timers->heap, (room + 1) * sizeof(struct timer *));
    if (!heap)
        return -ENOMEM;
    timers->heap = heap;
    timers->room = room;
    return 0;
}

int timers_set(struct timers *timers, struct timer *timer, uint64_t due_ms)
{
    if (!timer->place) {
        if (make_room(timers))
            return -ENOMEM;
        timer->place = ++timers->count;
    }
    timer->due_ms = due_ms;
    settle(timers, timer, timer->place);
    return 0;
}

void timers_cancel(struct timers *timers, struct timer *timer)
{
    size_t place = timer->place;
    struct timer *last;

    if (!place)
        return;
    timer->place = 0;
    last = timers->heap[timers->count--];
    if (last != timer)
        settle(timers, last, place);
}

struct timer *timers_take_due(struct timers *timers, uint64_t now_ms)
{
    struct timer *first = timers->count ? timers->heap[1] : NULL;

    if (!first || first->due_ms > now_ms)
        return NULL;
    timers_cancel(timers, first);
    return first;
}

uint64_t timers_next_ms(const struct timers *timers)
{
    return timers->count ? timers->heap[1]->due_ms : UINT64_MAX;
}
