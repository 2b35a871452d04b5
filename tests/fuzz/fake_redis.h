/*
 * A Redis in this process, for as much of it as the commit protocol uses, that a script of bytes
 * makes break connections, execute late what it was sent, or lie. It stands where hiredis would
 * connect; hiredis's reader stays the real one.
 *
 * Each decision takes bytes off the script; behind its end all goes well. One at a time; no thread.
 */
#ifndef TALLYD_TESTS_FUZZ_FAKE_REDIS_H
#define TALLYD_TESTS_FUZZ_FAKE_REDIS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FAKE_DEVICES  4 /* "a", "b", ... */
#define FAKE_KEY      "counts"
#define FAKE_INSTANCE "i"

enum fake_hash { FAKE_COUNTS, FAKE_QUARANTINE, FAKE_HASHES };

struct fake_field {
    bool is_text; /* what no HINCRBY adds to */
    int64_t count;
};

/* What Redis holds, for the test to read, and to change as other clients would. */
struct fake_data {
    struct fake_field fields[FAKE_HASHES][FAKE_DEVICES];
    bool wrong_type[FAKE_HASHES];          /* it is no hash at all */
    bool out_of_memory;                    /* HINCRBY is refused when it is queued */
    uint64_t epoch, owner, batch, started; /* the ledger; 0: no such field */
};

/* What was said to tallyd, as hiredis's own objects and this file's own judgement have it. */
struct fake_said {
    uint64_t sent;       /* the number of the last transaction sent to the end of its EXEC */
    uint64_t sent_owner; /* the owner in it; 0: none was sent yet */
    size_t commands;     /* in it */
    bool executed;       /* EXEC's reply to it said that all of its commands were executed */
    bool looked;         /* a look behind it said that it is in */
};

/* Starts with an empty Redis. With `lies` the script replaces answers too. The script is borrowed.
 */
void fake_redis_start(const uint8_t *script, size_t length, bool lies, uint8_t cut_pattern);

/* Executes what it was sent on connections since given up, and forgets all else. */
void fake_redis_settle(void);
void fake_redis_stop(void);

/* The next byte of the script; 0 behind its end. */
uint8_t fake_redis_decide(void);
bool fake_redis_script_ended(void);

struct fake_data *fake_redis_data(void);

/* Another client writes the ledger. */
void fake_redis_touch_ledger(void);
const struct fake_said *fake_redis_said(void);

#endif
