/*
 * The bounds, and why real clients do not come near them.
 *
 * What a client sends beside its streams answers what it gets from us: at most two window updates
 * and a ping for each HEADERS or DATA frame (gRPC's clients measure bandwidth so, grpc-go and
 * grpc-js on every DATA frame when no ping is under way). Those are credited when we send. What is
 * left is a preface (SETTINGS, WINDOW_UPDATE, five PRIORITY at most), an answer to our SETTINGS,
 * and keepalive pings, once in ten seconds at most.
 *
 * An attacker who stays below costs little: a burst of such frames takes about a millisecond of
 * CPU, what leaks a hundredth of that a second.
 */
#include "server/guard.h"

#define FRAME_BURST    2000
#define FRAME_RATE     100 /* a second */
#define FRAMES_A_SENT  4   /* credited for each HEADERS or DATA that we send */
#define FRAME_CREDIT   16384
#define SETTINGS_COSTS 20 /* frames, and one for each entry */

/* A client that goes away cancels all its streams, and may come back and do it again. A stream that
 * lived for a second is no rapid reset: how many of those there can be is bounded by --max-streams,
 * and while Redis is away clients cancel what they no longer wait for. */
#define RESET_BURSTS    2 /* times the streams of a connection */
#define RESET_BURST_MIN 200
#define RESET_RATE      100 /* a second */
#define RESET_YOUNG_MS  1000

/* As gRPC's A8: two strikes, and clean again when we send something. A ping that comes a tenth
 * early is the network's doing: grpc-go pings every 10 s if told to ping as often as it will. */
#define PING_STRIKES 2
#define PING_CREDIT  1000

#define UNIT 1000 /* of a bucket's level; so a rate a second is one in units a millisecond */

void guard_init(struct guard *guard, uint32_t max_streams, uint64_t min_ping_ms)
{
    uint32_t burst = RESET_BURSTS * max_streams;

    *guard = (struct guard){
        .min_ping_ms = min_ping_ms - min_ping_ms / 10,
        .reset_burst = burst > RESET_BURST_MIN ? burst : RESET_BURST_MIN,
    };
}

static bool pour(struct guard_bucket *bucket, uint32_t amount, uint32_t burst, uint32_t rate,
                 uint64_t now_ms)
{
    uint64_t leaked = (now_ms - bucket->since_ms) * rate;

    bucket->level = bucket->level > leaked ? bucket->level - leaked : 0;
    bucket->since_ms = now_ms;
    bucket->level += (uint64_t)amount * UNIT;
    return bucket->level <= (uint64_t)burst * UNIT;
}

static bool take_frames(struct guard *guard, uint32_t amount, uint64_t now_ms)
{
    if (guard->frame_credit >= amount) {
        guard->frame_credit -= amount;
        return true;
    }
    return pour(&guard->frames, amount, FRAME_BURST, FRAME_RATE, now_ms);
}

bool guard_frame(struct guard *guard, uint64_t now_ms)
{
    return take_frames(guard, 1, now_ms);
}

bool guard_settings(struct guard *guard, uint32_t entries, uint64_t now_ms)
{
    return take_frames(guard, SETTINGS_COSTS + entries, now_ms);
}

enum guard_ping guard_ping(struct guard *guard, uint64_t now_ms)
{
    if (!take_frames(guard, 1, now_ms))
        return GUARD_PING_FLOOD;
    if (guard->ping_ms && now_ms - guard->ping_ms < guard->min_ping_ms) {
        if (guard->ping_credit > 0)
            guard->ping_credit--;
        else if (++guard->ping_strikes > PING_STRIKES)
            return GUARD_PING_TOO_OFTEN;
    }
    guard->ping_ms = now_ms;
    return GUARD_PING_FINE;
}

bool guard_reset(struct guard *guard, uint64_t lived_ms, uint64_t now_ms)
{
    if (lived_ms >= RESET_YOUNG_MS)
        return true;
    return pour(&guard->resets, 1, guard->reset_burst, RESET_RATE, now_ms);
}

void guard_sent(struct guard *guard)
{
    if (guard->frame_credit < FRAME_CREDIT)
        guard->frame_credit += FRAMES_A_SENT;
    if (guard->ping_credit < PING_CREDIT)
        guard->ping_credit++;
    guard->ping_strikes = 0;
    guard->ping_ms = 0;
}
