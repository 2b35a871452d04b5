/*
 * Thread roles. Every function's contract says which thread calls it ("Called by: worker"); in
 * debug builds thread_assert_role() holds the code to it.
 */
#ifndef TALLYD_COMMON_THREAD_H
#define TALLYD_COMMON_THREAD_H

#include "common/compiler.h"

#include <pthread.h>

enum thread_role { THREAD_MAIN, THREAD_WORKER, THREAD_FLUSHER, THREAD_HTTP };

/* Starts a thread with a role, a name of at most 15 bytes (as top, gdb and the log show it) and
 * all signals blocked, so that only main receives them. Returns 0, or a negative errno of
 * pthread_create. The caller joins it. `name` is copied. */
int thread_start(pthread_t *thread, enum thread_role role, const char *name, void *(*run)(void *),
                 void *argument) MUST_CHECK;

/* Takes a role for the calling thread; for threads that a library started (civetweb's). */
void thread_adopt(enum thread_role role, const char *name);

/* Has the calling thread stand back where processors are short: a nicer one, and one that does not
 * interrupt another when it wakes. For threads of which there may be a thousand. Where that is not
 * allowed, nothing happens. */
void thread_stand_back(void);

/* The calling thread's name; "main" unless it was started or adopted here. */
const char *thread_name(void);

/* Debug builds: aborts when the caller has another role. Release builds: nothing. */
#ifdef NDEBUG
#define thread_assert_role(role) ((void)0)
#else
#define thread_assert_role(role) thread_check_role(role, __func__)
#endif
void thread_check_role(enum thread_role role, const char *function);

#endif
