/*
 * A worker's connections: which there are, which have output to be sent or input that epoll does
 * not see, and which are at their end. Whoever finds one at its end only marks it; the last step of
 * the round destroys it, so that an event that is still to be looked at never points to freed
 * memory.
 *
 * Thread: worker, the one that owns them.
 */
#ifndef TALLYD_SERVER_CONNECTIONS_H
#define TALLYD_SERVER_CONNECTIONS_H

#include "common/compiler.h"
#include "server/connection.h"

#include <stdbool.h>
#include <stdint.h>

/* Embedded by the worker, zeroed but for the first two. */
struct connections {
    struct connection_context *context; /* borrowed */
    int epoll_fd;                       /* borrowed; events bring the connection in data.ptr */
    struct connection *first;           /* the newest first */
    struct connection *to_send, *dead;
    struct connection *pending; /* with input that epoll does not see; */
    struct connection *due;     /* of them, those whose turn is in this round */
    struct connection *sweep;   /* whose calls are ticked next; NULL: all were */

    /* See connections.c: whose turn it is, of the costly ones. Turns are numbered from 1, and each
     * waits with the number of its last. */
    uint64_t owed_ns, turns;
    uint64_t first_turn;      /* whoever has it is to come first in this round; 0: nobody is */
    uint64_t next_first_turn; /* in the next one */
    bool others_wait, others_waited; /* cheap ones that had more to bring; in the last round */
};

/* Takes a socket, as connection_create() does. Returns NULL when it cannot; that is logged. */
struct connection *connections_take(struct connections *connections, int fd,
                                    struct address *address);

/* It has, or may have, output: it is sent this round. */
void connections_touch(struct connections *connections, struct connection *connection);

/* It is at its end: destroyed this round, and not looked at before. */
void connections_end(struct connections *connections, struct connection *connection);
void connections_end_all(struct connections *connections);

/* Receives from one, once, unless it has to take our output or others have a right to go first, and
 * marks it as is due. Leaves it alone when it has input that epoll does not see: its turn was in
 * this round, or comes in the next one. */
void connections_receive(struct connections *connections, struct connection *connection);

/* Its peer has reset it, and will never hear of an Ack. What is left to receive is looked at where
 * that is cheap; where it is much, and costs much, this is its end: megabytes may take seconds. */
void connections_lost(struct connections *connections, struct connection *connection);

/* A round begins with those that have such input, each of them once, however much it has; so the
 * round ends. The first gathers them; the second does as above for the next of them, and returns
 * false when there was none. */
void connections_begin_pending(struct connections *connections);
bool connections_receive_pending(struct connections *connections);

/* One's timer is due. */
void connections_timer(struct connections *connections, struct connection *connection);

/* Does `act` for each, and touches it. */
void connections_each(struct connections *connections, void (*act)(struct connection *));

/* Begins a tick of all calls, from the first one; goes on with it, some thousands of calls: there
 * can be so many that all at once would hold the worker up. */
void connections_tick_begin(struct connections *connections);
void connections_tick(struct connections *connections, uint64_t now_ms);

/* Sends what those that were touched have to send. */
void connections_send(struct connections *connections);

/* The end of a round: destroys those that are at their end. */
void connections_end_round(struct connections *connections);

#endif
