/*
 * How much is received of a connection in one turn. A buffer full of packets is counted in a tenth
 * of a millisecond; the same bytes may as well cost a hundred times that: as frames of two bytes,
 * as TLS records of one, as compressed blocks of which nothing comes out, as requests that are
 * refused. So a turn is measured by the time that it took. One that took much longer than what it
 * brought usually takes makes its connection a costly one, of which so little is received next that
 * its turn takes as long as everybody's. It is cheap again with its first turn that was.
 *
 * What is usual is learnt, since processors differ: the least time of late. So among those who all
 * send one message a frame nobody is costly, and beside one who sends full frames they are.
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
