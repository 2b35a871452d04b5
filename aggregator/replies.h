/*
 * Spares hiredis the objects of replies that say nothing.
 *
 * A transaction of n counts is answered by n lines "+QUEUED" and by n integers in EXEC's reply.
 * hiredis makes an object of each: 106 ns a count, of about 450 that the flusher takes for one; 35
 * without (ARCHITECTURE.md). On a context that replies_spare() was called for,
 *  - the status QUEUED is one and the same object, never allocated;
 *  - an integer inside an array is a NULL element;
 *  - an array of more than REPLIES_MAX_ELEMENTS is out of memory.
 * All other replies, errors above all, are what hiredis makes of them.
 *
 * Thread: the one that uses the context.
 */
#ifndef TALLYD_AGGREGATOR_REPLIES_H
#define TALLYD_AGGREGATOR_REPLIES_H

#include <hiredis.h>

/* No array that we ask for is longer; one that says it is ends the connection, instead of having
 * memory asked for that it names. */
#define REPLIES_MAX_ELEMENTS 4096

/* Room for what a context is given; embedded by its owner, and in use as long as the context. */
struct replies {
    redisReplyObjectFunctions usual, sparing;
};

/* Makes the reader of a context, before it has read anything that is spared, work as above. */
void replies_spare(struct replies *replies, redisReader *reader);

/* Frees a reply of such a context. NULL does nothing. */
void replies_free(redisReply *reply);

#endif
