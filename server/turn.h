/*
 * How much is received of a connection in one turn. A buffer full of packets is counted in a tenth
 * of a millisecond; the same bytes may as well cost a hundred times that: as frames of two bytes,
 * as TLS records of one, as compressed blocks of which nothing comes out, as requests that are
 * refused. So a turn is measured by the time that it took. Behind one that took longer than what it
 * brought usually takes, so little is received next that the turn takes as long as everybody's. One
 * that took much longer makes its connection a costly one (see connections.c), until its first turn
 * that does not. Whoever sends one message a frame beside others who send full frames has smaller
 * turns, and is not costly.
 *
 * What is usual is learnt, since processors differ: the least time of late.
 *
 * Thread: worker.
 */
#ifndef TALLYD_SERVER_TURN_H
#define TALLYD_SERVER_TURN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A worker's. */
struct turn_pace {
    size_t most_bytes; /* that are received at once */
    uint64_t usual_ns; /* that so many take */
};

/* A connection's. */
struct turn {
    size_t bytes; /* to receive next, at most */
    bool costly;
};

#define TURN_FIRST_BYTES 4096 /* of a new connection */
#define TURN_LEAST_BYTES 512

void turn_pace_init(struct turn_pace *pace, size_t most_bytes);

/* A new connection is costly until it brings packets: whoever comes again and again would be cheap
 * each time. */
void turn_init(struct turn *turn);

/* A turn has taken `ns`: `got` bytes came, `useful` of them for calls. */
void turn_end(struct turn *turn, struct turn_pace *pace, size_t got, size_t useful, uint64_t ns);

#endif
