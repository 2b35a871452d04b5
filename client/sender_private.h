/*
 * What the two halves of the sender share, and nobody else: sender.c has the run and its streams,
 * sender_connections.c its connections. One thread.
 */
#ifndef TALLYD_CLIENT_SENDER_PRIVATE_H
#define TALLYD_CLIENT_SENDER_PRIVATE_H

#include "client/channel.h"
#include "client/device_totals.h"
#include "client/generator.h"
#include "client/pacer.h"
#include "client/plan.h"
#include "client/progress.h"
#include "client/replay.h"
#include "client/report.h"
#include "client/rpc_session.h"
#include "client/send_options.h"

#include <netdb.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

struct slot {
    struct rpc_call call; /* first, so that a call's address is its slot's */
    struct connection *connection;
    struct plan_range range;
    uint64_t sent; /* packets of it that were begun */
    union {
        struct generator_cursor made;
        struct replay_cursor replayed;
    } cursor;
    bool waits;
    TAILQ_ENTRY(slot) wait_link;
};

/* What a connection is to the run. */
struct connection {
    struct sender *sender;
    struct slot *slots; /* as many as there are streams on a connection */
    struct channel *channel;
    bool served;        /* it brought an Ack */
    bool is_due;        /* it is to be opened again: the server had asked for that */
    bool has_come_back; /* it was, and before that `why` was said */
    struct rpc_outcome why;
};

struct sender {
    const struct send_options *options;
    const struct credentials *credentials;
    const struct generator *generator;
    struct replay *replay; /* NULL: packets are made as they go */
    struct report *report;
    struct device_totals *totals;
    struct plan plan;
    uint64_t next_stream;
    struct pacer pacer;
    struct progress progress;
    TAILQ_HEAD(slot_list, slot) waiting;
    struct slot *slots;
    struct connection *connections;
    struct plan_range *returned; /* begun in vain: the server took nothing of them */
    size_t returned_count;
    struct addrinfo *addresses;
    uint64_t channels_live; /* connecting or ready */
    uint64_t connections_due;
    uint64_t calls_open;
    uint64_t steps; /* grows with every packet sent, stream ended and connection made */
    uint64_t steps_seen, steps_seen_ns;
    int epoll_fd, signal_fd;
    bool stopping;
};

/* sender.c */

bool sender_plan_is_done(const struct sender *sender);

/* Starts the next stream on a slot, if there is one and its connection takes it. */
void sender_start_next(struct sender *sender, struct slot *slot);

/* sender_connections.c */

/* Makes the connections, and starts none. Returns 0 or -ENOMEM. */
int sender_create_connections(struct sender *sender, const struct rpc_handler *rpc);
void sender_destroy_connections(struct sender *sender);

/* Opens connections again that a server asked to, and hands what was taken back to whoever is idle.
 * To be called out of all handlers. */
void sender_come_back(struct sender *sender);

#endif
