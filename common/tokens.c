/*
 * The set in force is a block that never changes once it is made: the store points to it, and a
 * reload puts another one in its place. Whoever looks a token up takes a share in the set under the
 * lock, which is held for those two lines and nothing else, and scans the set after that; a
 * principal that is found keeps the share, and gives it back when it is released. The last share
 * frees the set.
 *
 *     main, reload:   parse, make the set | lock: exchange, generation + 1 | drop the old one
 *     worker, http:   hash the token | lock: take a share | scan | keep the share, or drop it
 *
 * So a set can only be freed when the store no longer points to it (the store has a share of its
 * own) and nobody is inside it: a share is only ever taken from the store's pointer, under the
 * lock. Dropping is a release and an acquire, so that whoever frees has seen all that others did.
 * Between an exchange and the growth of the generation nobody can get in: both are under the lock,
 * so that who sees the new generation and asks tokens_hold() is told of the new set.
 *
 * Allowances outlive sets: the store keeps one for each name that ever had a limit, so that a
 * reload forgets no device that was made. Only main adds to that list, and readers never walk it.
 *
 * tests/unit/test_tokens.c tortures this: lookups and reloads at the same time.
 */
#include "common/tokens.h"

#include "common/allowance.h"
#include "common/log.h"
#include "common/thread.h"
#include "common/token_file.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define SCHEME "bearer"

struct token_set;

struct entry {
    struct principal principal; /* first: what others hold is a pointer to it */
    struct token_set *set;
};

struct token_set {
    _Atomic uint64_t shares;             /* one is the store's */
    struct token_file file;              /* whose strings the principals point to */
    uint8_t (*hashes)[TOKEN_HASH_BYTES]; /* one an entry, side by side: the scan reads them all */
    struct entry entries[];
};

struct named_allowance {
    struct allowance allowance; /* first */
    struct named_allowance *next;
    char name[TOKEN_ENTRY_NAME_BYTES + 1];
};

struct tokens {
    pthread_mutex_t lock; /* guards `set`; nothing is taken under it */
    struct token_set *set;
    _Atomic uint64_t generation;
    struct named_allowance *allowances; /* main's */
};

/* ---- Sets ----------------------------------------------------------------------------------- */

static void drop_set(struct token_set *set)
{
    if (!set || atomic_fetch_sub_explicit(&set->shares, 1, memory_order_acq_rel) != 1)
        return;
    token_file_fini(&set->file);
    free(set->hashes);
    free(set);
}

static struct token_set *share_set(struct tokens *tokens)
{
    struct token_set *set;

    pthread_mutex_lock(&tokens->lock);
    set = tokens->set;
    atomic_fetch_add_explicit(&set->shares, 1, memory_order_relaxed);
    pthread_mutex_unlock(&tokens->lock);
    return set;
}

/* The allowance of a name; made, without a limit, if there is none yet. */
static struct allowance *find_allowance(struct tokens *tokens, const char *name)
{
    struct named_allowance *one = tokens->allowances;

    while (one && strcmp(one->name, name) != 0)
        one = one->next;
    if (one)
        return &one->allowance;
    one = calloc(1, sizeof *one);
    if (!one)
        return NULL;
    allowance_init(&one->allowance, UINT64_MAX);
    snprintf(one->name, sizeof one->name, "%s", name);
    one->next = tokens->allowances;
    tokens->allowances = one;
    return &one->allowance;
}

/* Makes a set, which owns `file` from then on. Limits are not set yet. Returns NULL when memory is
 * short. */
static struct token_set *create_set(struct tokens *tokens, struct token_file *file)
{
    struct token_set *set = calloc(1, sizeof *set + file->count * sizeof set->entries[0]);

    if (!set) {
        token_file_fini(file);
        return NULL;
    }
    atomic_init(&set->shares, 1);
    set->file = *file;
    free(set->file.text); /* its entries have all that is needed */
    set->file.text = NULL;
    set->hashes = malloc((file->count + 1) * sizeof set->hashes[0]);
    for (size_t i = 0; set->hashes && i < file->count; i++) {
        const struct token_entry *from = &file->entries[i];
        struct entry *entry = &set->entries[i];

        memcpy(set->hashes[i], from->hash, TOKEN_HASH_BYTES);
        entry->set = set;
        entry->principal = (struct principal){.name = from->name,
                                              .rights = from->rights,
                                              .prefix = from->prefix,
                                              .prefix_length = from->prefix_length};
        if (from->max_devices == TOKEN_ENTRY_NO_LIMIT)
            continue;
        entry->principal.allowance = find_allowance(tokens, from->name);
        if (!entry->principal.allowance)
            goto err;
    }
    if (set->hashes)
        return set;
err:
    drop_set(set);
    return NULL;
}

static void set_limits(const struct token_set *set)
{
    for (size_t i = 0; i < set->file.count; i++) {
        if (set->entries[i].principal.allowance)
            atomic_store_explicit(&set->entries[i].principal.allowance->limit,
                                  set->file.entries[i].max_devices, memory_order_relaxed);
    }
}

/* Hashes of 256 random bits give nothing away, names and prefixes may; but who can write to the
 * file can let himself in. */
static void warn_of_mode(const char *path, unsigned mode)
{
    if (mode & (S_IWGRP | S_IWOTH))
        log_warn("token file %.300s: others may write to it, and so let themselves in (mode %03o)",
                 path, mode);
    else if (mode & S_IROTH)
        log_warn(
            "token file %.300s: everybody may read it (mode %03o); it has hashes only, but 600 "
            "or 640 is better",
            path, mode);
}

/* Makes a set of what a file has. */
static struct token_set *read_set(struct tokens *tokens, const char *path, char error[ERROR_BYTES])
{
    struct token_set *set;
    struct token_file file;
    unsigned mode;

    if (token_file_read(path, &file, &mode, error))
        return NULL;
    warn_of_mode(path, mode);
    set = create_set(tokens, &file);
    if (!set)
        snprintf(error, ERROR_BYTES, "token file %.250s: memory is short", path);
    return set;
}

struct token_set *tokens_prepare(struct tokens *tokens, const char *path, char error[ERROR_BYTES])
{
    thread_assert_role(THREAD_MAIN);
    return read_set(tokens, path, error);
}

int tokens_check(const char *path, char error[ERROR_BYTES])
{
    struct token_file file;
    int result = token_file_read(path, &file, NULL, error);

    if (!result)
        token_file_fini(&file);
    return result;
}

/* ---- The store ------------------------------------------------------------------------------ */

struct tokens *tokens_create(const char *path, char error[ERROR_BYTES])
{
    struct tokens *tokens = calloc(1, sizeof *tokens);

    thread_assert_role(THREAD_MAIN);
    if (!tokens) {
        snprintf(error, ERROR_BYTES, "token file %.250s: memory is short", path);
        return NULL;
    }
    pthread_mutex_init(&tokens->lock, NULL);
    tokens->set = read_set(tokens, path, error);
    if (tokens->set) {
        set_limits(tokens->set);
        return tokens;
    }
    tokens_destroy(tokens);
    return NULL;
}

void tokens_destroy(struct tokens *tokens)
{
    thread_assert_role(THREAD_MAIN);
    if (!tokens)
        return;
    drop_set(tokens->set);
    while (tokens->allowances) {
        struct named_allowance *next = tokens->allowances->next;

        allowance_fini(&tokens->allowances->allowance);
        free(tokens->allowances);
        tokens->allowances = next;
    }
    pthread_mutex_destroy(&tokens->lock);
    free(tokens);
}

void tokens_replace(struct tokens *tokens, struct token_set *set)
{
    struct token_set *old;

    thread_assert_role(THREAD_MAIN);
    set_limits(set);
    pthread_mutex_lock(&tokens->lock);
    old = tokens->set;
    tokens->set = set;
    atomic_fetch_add_explicit(&tokens->generation, 1, memory_order_release);
    pthread_mutex_unlock(&tokens->lock);
    drop_set(old);
}

uint64_t tokens_generation(const struct tokens *tokens)
{
    return atomic_load_explicit(&tokens->generation, memory_order_acquire);
}

/* ---- Looking up ----------------------------------------------------------------------------- */

/* Takes off the scheme and the blanks behind it (RFC 9110, 11.4). */
static bool take_scheme(const char **text, size_t *length)
{
    const size_t scheme = sizeof SCHEME - 1;

    if (*length <= scheme || strncasecmp(*text, SCHEME, scheme) != 0 || (*text)[scheme] != ' ')
        return false;
    *text += scheme;
    *length -= scheme;
    while (*length && **text == ' ') {
        ++*text;
        --*length;
    }
    return true;
}

/* The entry with a hash, or NULL. All are compared, each in constant time, and the place of the one
 * that fits is taken without a branch. */
static struct entry *scan(struct token_set *set, const uint8_t hash[TOKEN_HASH_BYTES])
{
    size_t found = SIZE_MAX;

    for (size_t i = 0; i < set->file.count; i++) {
        unsigned different = (unsigned)CRYPTO_memcmp(set->hashes[i], hash, TOKEN_HASH_BYTES);
        size_t keep = (size_t)0 - (size_t)((different | (0u - different)) >> 31);

        found = (found & keep) | (i & ~keep);
    }
    return found == SIZE_MAX ? NULL : &set->entries[found];
}

const struct principal *tokens_find(struct tokens *tokens, const char *authorization, size_t length)
{
    uint8_t hash[TOKEN_HASH_BYTES];
    struct token_set *set;
    struct entry *entry;

    if (!take_scheme(&authorization, &length) || !token_secret_is_one(authorization, length) ||
        token_secret_hash(authorization, length, hash))
        return NULL;
    set = share_set(tokens);
    entry = scan(set, hash);
    if (entry)
        return &entry->principal;
    drop_set(set);
    return NULL;
}

void tokens_release(const struct principal *principal)
{
    if (principal)
        drop_set(((const struct entry *)principal)->set);
}

static bool is_same(const struct principal *a, const struct principal *b)
{
    return a->rights == b->rights && !strcmp(a->name, b->name) && a->allowance == b->allowance &&
           a->prefix_length == b->prefix_length && !memcmp(a->prefix, b->prefix, a->prefix_length);
}

bool tokens_hold(struct tokens *tokens, const struct principal *principal)
{
    const struct entry *held = (const struct entry *)principal, *now;
    struct token_set *set = share_set(tokens);
    bool result = true;

    if (set != held->set) {
        now = scan(set, held->set->hashes[held - held->set->entries]);
        result = now && is_same(&now->principal, principal);
    }
    drop_set(set);
    return result;
}

void tokens_visit_allowances(struct tokens *tokens,
                             void (*visit)(void *target, const char *name, uint64_t taken,
                                           uint64_t limit),
                             void *target)
{
    struct token_set *set = share_set(tokens);

    for (size_t i = 0; i < set->file.count; i++) {
        const struct principal *principal = &set->entries[i].principal;
        struct allowance *allowance = principal->allowance;

        if (allowance)
            visit(target, principal->name,
                  atomic_load_explicit(&allowance->taken, memory_order_relaxed),
                  atomic_load_explicit(&allowance->limit, memory_order_relaxed));
    }
    drop_set(set);
}
