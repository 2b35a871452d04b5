/*
 * Why this is right: a question is shared by its thread and by the resolver. All that both touch is
 * under its lock: `answered`, with the answer, which the thread sets once, and `forgotten`, which
 * the resolver sets once. Whoever finds the other one's mark set frees it: the thread, if it was
 * forgotten before it was answered, and the resolver in all other cases. `host` is written before
 * the thread begins.
 *
 * The thread has no role and no part in anything else. It may be there still when main returns;
 * that ends it.
 */
#include "aggregator/resolver.h"

#include "common/clock.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

struct resolver_question {
    pthread_mutex_t lock; /* nothing is taken under it */
    pthread_cond_t changed;
    bool answered, forgotten;
    int result; /* getaddrinfo()'s */
    struct addrinfo *found;
    char host[];
};

static int look_up(const char *host, int flags, struct addrinfo **found)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = flags};

    *found = NULL;
    return getaddrinfo(host, NULL, &hints, found);
}

static void question_destroy(struct resolver_question *question)
{
    if (question->found)
        freeaddrinfo(question->found);
    pthread_cond_destroy(&question->changed);
    pthread_mutex_destroy(&question->lock);
    free(question);
}

static void *ask(void *argument)
{
    struct resolver_question *question = argument;
    struct addrinfo *found;
    int result = look_up(question->host, 0, &found);
    bool forgotten;

    pthread_mutex_lock(&question->lock);
    question->result = result;
    question->found = found;
    question->answered = true;
    forgotten = question->forgotten;
    pthread_cond_signal(&question->changed);
    pthread_mutex_unlock(&question->lock);
    if (forgotten)
        question_destroy(question);
    return NULL;
}

/* Signals are main's. */
static int start_thread(struct resolver_question *question)
{
    pthread_t thread;
    sigset_t all, before;
    int error;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    error = pthread_create(&thread, NULL, ask, question);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!error) {
        pthread_setname_np(thread, "resolver");
        pthread_detach(thread);
    }
    return error;
}

static struct resolver_question *question_create(const char *host)
{
    size_t bytes = strlen(host) + 1;
    struct resolver_question *question = calloc(1, sizeof *question + bytes);

    if (!question)
        return NULL;
    pthread_mutex_init(&question->lock, NULL);
    pthread_cond_init(&question->changed, NULL);
    memcpy(question->host, host, bytes);
    if (!start_thread(question))
        return question;
    question_destroy(question);
    return NULL;
}

/* Returns false when there is no answer in time. */
static bool wait_for(struct resolver_question *question, uint64_t timeout_ms)
{
    uint64_t until_ms = clock_now_ms() + timeout_ms;
    const struct timespec until = {.tv_sec = (time_t)(until_ms / 1000),
                                   .tv_nsec = (long)(until_ms % 1000 * 1000000)};
    bool answered;

    pthread_mutex_lock(&question->lock);
    while (!question->answered && pthread_cond_clockwait(&question->changed, &question->lock,
                                                         CLOCK_MONOTONIC, &until) != ETIMEDOUT)
        ;
    answered = question->answered;
    pthread_mutex_unlock(&question->lock);
    return answered;
}

struct addrinfo *resolver_find(struct resolver *resolver, const char *host, uint64_t timeout_ms,
                               char error[ERROR_BYTES])
{
    struct resolver_question *question;
    struct addrinfo *found;

    if (!look_up(host, AI_NUMERICHOST, &found))
        return found;
    if (!resolver->question)
        resolver->question = question_create(host);
    question = resolver->question;
    if (!question) {
        snprintf(error, ERROR_BYTES, "cannot look up %.200s: out of memory", host);
        return NULL;
    }
    if (!wait_for(question, timeout_ms)) {
        snprintf(error, ERROR_BYTES, "cannot look up %.200s: no answer within %llu ms", host,
                 (unsigned long long)timeout_ms);
        return NULL;
    }
    resolver->question = NULL;
    found = question->found;
    question->found = NULL;
    if (!found)
        snprintf(error, ERROR_BYTES, "cannot look up %.200s: %.100s", host,
                 gai_strerror(question->result));
    question_destroy(question);
    return found;
}

void resolver_fini(struct resolver *resolver)
{
    struct resolver_question *question = resolver->question;
    bool answered;

    resolver->question = NULL;
    if (!question)
        return;
    pthread_mutex_lock(&question->lock);
    answered = question->answered;
    question->forgotten = true;
    pthread_mutex_unlock(&question->lock);
    if (answered)
        question_destroy(question);
}
