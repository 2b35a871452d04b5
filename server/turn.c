/*
 * The time is the wall's, which is free to read. A worker that loses its processor during a turn
 * takes that for the peer's doing: it costs the peer one smaller turn.
 */
#include "server/turn.h"

#include "common/compiler.h"

/* A turn may take this beside what its bytes do: a system call, a stream's begin and end. */
#define SMALL_NS 20000

/* And its bytes so many times the usual, or the next one brings less. Packets of a million devices,
 * which are in no cache, take twice the usual, and so does TLS. */
#define LONG_TIMES 3

/* Past this its connection is a costly one. One message a frame, as most libraries send it, takes
 * six times the usual; frames of two bytes twenty times. */
#define COSTLY_TIMES 8

/* What is usual never gets less than this, so that nobody becomes costly because somebody else
 * sends bytes that hardly need work: full frames of small packets take it on a fast processor. */
#define LEAST_PS_A_BYTE 400

/* And never more: whoever sends nothing but what takes long would else become usual, step by step,
 * and have turns without a bound while nobody else brings enough to learn from. With it the longest
 * that is not made shorter takes less than a millisecond. */
#define MOST_PS_A_BYTE 1000

#define LEARN_BYTES 4096 /* the least that tells what bytes take */
#define FORGET_PART 1024 /* by so much the usual grows in a turn, until it is found again */

void turn_pace_init(struct turn_pace *pace, size_t most_bytes)
{
    pace->most_bytes = most_bytes;
    pace->usual_ns = most_bytes * LEAST_PS_A_BYTE / 1000;
}

void turn_init(struct turn *turn)
{
    turn->bytes = TURN_FIRST_BYTES;
    turn->costly = true;
}

static void learn(struct turn_pace *pace, size_t got, uint64_t ns)
{
    uint64_t least = pace->most_bytes * LEAST_PS_A_BYTE / 1000;
    uint64_t most = pace->most_bytes * MOST_PS_A_BYTE / 1000;
    uint64_t full_ns = ns * pace->most_bytes / got;

    if (full_ns > pace->usual_ns)
        full_ns = pace->usual_ns + pace->usual_ns / FORGET_PART;
    pace->usual_ns = full_ns < least ? least : full_ns > most ? most : full_ns;
}

void turn_end(struct turn *turn, struct turn_pace *pace, size_t got, size_t useful, uint64_t ns)
{
    uint64_t usual = pace->usual_ns * got / pace->most_bytes;

    if (unlikely(ns > SMALL_NS + LONG_TIMES * usual)) {
        uint64_t bytes = pace->usual_ns * got / ns;

        turn->bytes = bytes > TURN_LEAST_BYTES ? (size_t)bytes : TURN_LEAST_BYTES;
    } else if (useful > 0) {
        turn->bytes = pace->most_bytes;
    }
    if (unlikely(ns > SMALL_NS + COSTLY_TIMES * usual))
        turn->costly = true;
    else if (useful > 0)
        turn->costly = false;
    if (got >= LEARN_BYTES)
        learn(pace, got, ns);
}
