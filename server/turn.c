/*
 * The time is the wall's, which is free to read. A worker that loses its processor during a turn
 * takes that for the peer's doing: it costs the peer one smaller turn.
 */
#include "server/turn.h"

#include "common/compiler.h"

/* A turn may take this beside what its bytes do: a system call, a stream's begin and end. */
#define SMALL_NS 20000

/* And its bytes so many times the usual. Packets of a million devices, which are in no cache, take
 * twice the usual, and so does TLS; frames of two bytes take twenty times as long. */
#define COSTLY_TIMES 3

/* What is usual never gets less than this, so that nobody becomes costly because somebody else
 * sends bytes that hardly need work: full frames of small packets take it on a fast processor. */
#define LEAST_PS_A_BYTE 400

/* And never more: whoever sends nothing but what takes long would else become usual, step by step,
 * and have turns without a bound while nobody else brings enough to learn from. One message a frame
 * takes a little more; a turn, with all that is allowed, a millisecond and a half. */
#define MOST_PS_A_BYTE 2000

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
    uint64_t allowed = SMALL_NS + COSTLY_TIMES * pace->usual_ns * got / pace->most_bytes;

    if (unlikely(ns > allowed)) {
        uint64_t bytes = pace->usual_ns * got / ns;

        turn->costly = true;
        turn->bytes = bytes > TURN_LEAST_BYTES ? (size_t)bytes : TURN_LEAST_BYTES;
    } else if (useful > 0) {
        turn->costly = false;
        turn->bytes = pace->most_bytes;
    }
    if (got >= LEARN_BYTES)
        learn(pace, got, ns);
}
