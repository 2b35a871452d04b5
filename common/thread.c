/* Roles and names live in thread-local storage, so that asking for them costs a load. */
#include "common/thread.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define NAME_BYTES 16 /* pthread_setname_np(3): 15 bytes and a NUL */
#define NICE       10 /* a tenth of a worker's weight */

struct start {
    enum thread_role role;
    char name[NAME_BYTES];
    void *(*run)(void *);
    void *argument;
};

static const char *const role_names[] = {
    [THREAD_MAIN] = "main",
    [THREAD_WORKER] = "worker",
    [THREAD_FLUSHER] = "flusher",
    [THREAD_HTTP] = "http",
};

static _Thread_local enum thread_role my_role = THREAD_MAIN;
static _Thread_local char my_name[NAME_BYTES] = "main";

void thread_adopt(enum thread_role role, const char *name)
{
    my_role = role;
    snprintf(my_name, sizeof my_name, "%s", name);
    pthread_setname_np(pthread_self(), my_name);
}

void thread_stand_back(void)
{
    static const struct sched_param none = {0};

    sched_setscheduler(0, SCHED_BATCH, &none); /* on Linux, both are of the calling thread */
    setpriority(PRIO_PROCESS, 0, NICE);
}

static void *thread_main(void *argument)
{
    struct start start = *(struct start *)argument;

    free(argument);
    thread_adopt(start.role, start.name);
    return start.run(start.argument);
}

int thread_start(pthread_t *thread, enum thread_role role, const char *name, void *(*run)(void *),
                 void *argument)
{
    struct start *start = malloc(sizeof *start);
    sigset_t all, before;
    int error;

    if (!start)
        return -ENOMEM;
    start->role = role;
    snprintf(start->name, sizeof start->name, "%s", name);
    start->run = run;
    start->argument = argument;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* a new thread inherits the mask */
    error = pthread_create(thread, NULL, thread_main, start);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error)
        free(start);
    return -error;
}

const char *thread_name(void)
{
    return my_name;
}

void thread_check_role(enum thread_role role, const char *function)
{
    if (my_role == role)
        return;
    fprintf(stderr, "%s: called by thread %s, whose role is %s; it belongs to %s\n", function,
            my_name, role_names[my_role], role_names[role]);
    abort();
}
