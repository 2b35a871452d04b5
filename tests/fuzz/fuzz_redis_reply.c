/*
 * The commit protocol over hiredis's reader, against a Redis that a script makes fail, be late, or
 * lie (fake_redis.c).
 *
 * A Redis that does not lie: whatever breaks, once a batch is said to be committed each of its
 * devices is counted exactly once, but those said to be refused, which are not counted at all; and
 * what arrives late changes nothing of that. One that lies: no batch is taken to be in Redis unless
 * the bytes said so, of that very transaction; and nothing reads where it must not.
 *
 * Input: a byte of flags (1: it lies; 2 to 8: how many batches), one that says how answers are cut,
 * then the script.
 */
#include "aggregator/counters.h"
#include "aggregator/ledger.h"
#include "common/log.h"
#include "common/thread.h"
#include "tests/fuzz/fake_redis.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

#define MAX_SCRIPT_BYTES 250
#define MAX_TRIES        260 /* of one batch: each that fails takes a byte, and then all goes well */

struct expected {
    int64_t counts[FAKE_HASHES][FAKE_DEVICES];
    bool exact;             /* nothing was lost in Redis, so counts are what they must be */
    bool went_back, fenced; /* what the ledger was made to say before the batch at hand */
};

static struct counters *counters; /* made once */
static struct counter *devices[FAKE_DEVICES];
static struct batch batches[2];
static struct stats_flusher stats;
static const struct redis_options options = {.host = "127.0.0.1", .port = 1, .key = FAKE_KEY};

static void prepare_once(void)
{
    static const struct hash_key hash_key;

    if (counters)
        return;
    thread_adopt(THREAD_FLUSHER, "flusher");
    log_configure(LOG_ERROR + 1, LOG_TEXT); /* it has much to say of such a Redis */
    counters = counters_create(&hash_key, FAKE_DEVICES);
    FUZZ_CHECK(counters);
    for (int i = 0; i < FAKE_DEVICES; i++) {
        const uint8_t id = (uint8_t)('a' + i);

        devices[i] = counters_add(counters, 0, &id, 1, 1);
    }
}

static unsigned device_of(const struct batch_entry *entry)
{
    size_t length;

    return counter_id(entry->counter, &length)[0] - (unsigned)'a';
}

static void fill(struct batch *batch)
{
    uint8_t shape = fake_redis_decide();
    unsigned count = 1 + shape % FAKE_DEVICES, first = shape / 4;

    batch_begin(batch, shape & 128);
    for (unsigned i = 0; i < count; i++)
        batch_add(batch, devices[(first + i) % FAKE_DEVICES], 1u + (shape >> i));
}

/* What other clients of Redis, and its owner, may do between two batches. */
static void meddle(struct expected *expected)
{
    struct fake_data *data = fake_redis_data();
    uint8_t what = fake_redis_decide(), detail = what ? fake_redis_decide() : 0;
    enum fake_hash hash = detail & 1;
    unsigned device = detail / 2 % FAKE_DEVICES;

    expected->went_back = expected->fenced = false;
    switch (what) {
    case 1:
        data->fields[hash][device].is_text ^= true;
        break;
    case 2:
        data->fields[hash][device].count = expected->counts[hash][device] = INT64_MAX;
        break;
    case 3:
        data->wrong_type[hash] ^= true;
        break;
    case 4:
        data->out_of_memory ^= true;
        break;
    case 5: /* the ledger is lost */
        data->epoch = data->owner = data->batch = data->started = 0;
        fake_redis_touch_ledger();
        expected->exact = false;
        break;
    case 6: /* a backup of before is restored */
        data->batch -= data->batch > 0;
        fake_redis_touch_ledger();
        expected->exact = false;
        break;
    case 7: /* another instance of this name starts */
        data->epoch++;
        data->owner ^= 2;
        data->started++;
        fake_redis_touch_ledger();
        expected->fenced = true;
        break;
    case 8: /* the ledger goes back to an earlier instance of this name; its counts stay */
        data->epoch--;
        data->owner ^= 2;
        data->batch = detail;
        data->started -= 1u + detail;
        fake_redis_touch_ledger();
        expected->went_back = true;
        break;
    case 9: /* it is lost, and another instance starts on what is left */
        data->epoch = 1;
        data->owner ^= 2;
        data->batch = 0;
        data->started += detail;
        fake_redis_touch_ledger();
        expected->fenced = true;
        break;
    default:
        break;
    }
}

static void check_counts(const struct expected *expected)
{
    const struct fake_data *data = fake_redis_data();

    for (int hash = 0; hash < FAKE_HASHES; hash++) {
        for (int i = 0; i < FAKE_DEVICES; i++)
            FUZZ_CHECK(data->fields[hash][i].count == expected->counts[hash][i]);
    }
}

static void add(struct expected *expected, const struct batch *batch)
{
    for (size_t i = 0; i < batch->count; i++) {
        const struct batch_entry *entry = &batch->entries[i];

        if (!entry->refused)
            expected->counts[batch->quarantine][device_of(entry)] += (int64_t)entry->delta;
    }
}

/* Tries until the batch is in. Returns LEDGER_OK or LEDGER_FENCED, or LEDGER_UNAVAILABLE when
 * it may not be in for good: Redis lies, or has no memory. */
static enum ledger_result commit(struct ledger *ledger, struct batch *batch,
                                 const struct batch *next)
{
    enum ledger_result result = LEDGER_UNAVAILABLE;

    for (int i = 0; i < MAX_TRIES && result == LEDGER_UNAVAILABLE; i++) {
        if (fake_redis_script_ended())
            fake_redis_data()->out_of_memory = false;
        result = ledger_commit(ledger, batch, next);
        if (result == LEDGER_UNAVAILABLE)
            FUZZ_CHECK(*ledger_error(ledger));
    }
    return result;
}

static void run(struct ledger *ledger, unsigned count, bool lies, struct expected *expected)
{
    fill(&batches[0]);
    for (unsigned i = 0; i < count; i++) {
        struct batch *batch = &batches[i % 2], *next = &batches[(i + 1) % 2];
        uint64_t owner = fake_redis_data()->owner;
        enum ledger_result result;

        fill(next);
        result = commit(ledger, batch, i + 1 < count && fake_redis_decide() < 128 ? next : NULL);
        if (result == LEDGER_OK)
            FUZZ_CHECK(fake_redis_said()->executed || fake_redis_said()->looked);
        if (lies)
            continue;
        FUZZ_CHECK(result == LEDGER_FENCED || !expected->fenced);
        if (result == LEDGER_FENCED) {
            FUZZ_CHECK(!expected->went_back);
            FUZZ_CHECK(owner != fake_redis_said()->sent_owner || !expected->exact);
            break;
        }
        FUZZ_CHECK(result == LEDGER_OK);
        add(expected, batch);
        if (expected->exact)
            check_counts(expected);
        meddle(expected);
    }
    if (!lies && expected->exact) {
        fake_redis_settle();
        check_counts(expected);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct expected expected = {.exact = true};
    struct ledger *ledger;
    bool lies;

    if (size < 2 || size > MAX_SCRIPT_BYTES)
        return 0;
    prepare_once();
    lies = data[0] & 1;
    fake_redis_start(data + 2, size - 2, lies, data[1]);
    fake_redis_data()->epoch = fake_redis_data()->owner = 1; /* of an instance that has ended */
    ledger = ledger_create(&options, FAKE_INSTANCE, &stats);
    FUZZ_CHECK(ledger);
    run(ledger, 2u + data[0] / 2 % 8, lies, &expected);
    ledger_destroy(ledger);
    fake_redis_stop();
    return 0;
}
