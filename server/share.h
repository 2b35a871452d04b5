/*
 * What all calls of a worker have together, and of which there is not much. A connection may hold
 * as much of it as it leaves free: one alone half of it, two a third each, and n of them leave what
 * is left to the next one an equal part. So nobody can take it from the others, be it by one
 * connection or by hundreds, and where nobody else wants any, few notice a bound.
 *
 * Thread: worker.
 */
#ifndef TALLYD_SERVER_SHARE_H
#define TALLYD_SERVER_SHARE_H

#include "common/compiler.h"

#include <stdbool.h>
#include <stddef.h>

enum share_kind {
    SHARE_CALLS,         /* that there are, with those that were refused and not told of it yet */
    SHARE_OPEN_CALLS,    /* that were let in */
    SHARE_INFLATING,     /* compressed messages of which a part came, and the rest not yet */
    SHARE_SERVICE_BYTES, /* of requests and responses: see service.c */
    SHARE_KINDS
};

/* A worker's, and each connection's. Embedded, zeroed at first. */
struct share {
    size_t held[SHARE_KINDS];
};

/* Takes so much for a connection, whose share is `own`, out of the worker's. Returns false when
 * that would be more than it leaves. */
bool share_take(struct share *all, struct share *own, enum share_kind kind,
                size_t amount) MUST_CHECK;

/* Gives back what was taken. */
void share_give(struct share *all, struct share *own, enum share_kind kind, size_t amount);

#endif
