/*
 * Who may do what: the tokens of a token file, by their SHA-256 hashes.
 *
 * A token is a secret that a client sends as "authorization: Bearer TOKEN". The file has a line for
 * each: the hash, a name, rights, and optionally a prefix that all its device ids must have and the
 * number of devices that may be made with it; common/token_file.h has the form. The set is replaced
 * as a whole when the file is read again; who holds a principal of the old one keeps it.
 *
 * Any thread may call what does not say "Called by: main".
 */
#ifndef TALLYD_COMMON_TOKENS_H
#define TALLYD_COMMON_TOKENS_H

#include "common/compiler.h"
#include "common/error.h"
#include "common/token_right.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct allowance;
struct tokens;

/* Whose token it is. Never changed once it is made. */
struct principal {
    const char *name;
    unsigned rights;    /* of enum token_right */
    const char *prefix; /* that its device ids have; "" is any */
    size_t prefix_length;
    struct allowance *allowance; /* its devices; NULL: no limit. Lives as long as the store */
};

/* Reads a file, and says whether it is a token file: 0, or a negative errno with `error`, as for
 * tokens_create(). Any thread. */
int tokens_check(const char *path, char error[ERROR_BYTES]) MUST_CHECK;

/* Reads the file. Returns NULL with one line in `error` that names the file, the line, and what is
 * wrong with it, and never a hash. Called by: main. */
struct tokens *tokens_create(const char *path, char error[ERROR_BYTES]) MUST_CHECK;

/* All principals must have been released. NULL does nothing. Called by: main. */
void tokens_destroy(struct tokens *tokens);

/* Reads the file, or another one, again, and changes nothing yet. Returns what tokens_replace()
 * takes, or NULL with `error`. Called by: main. */
struct token_set *tokens_prepare(struct tokens *tokens, const char *path,
                                 char error[ERROR_BYTES]) MUST_CHECK;

/* Puts it in force; cannot fail. Called by: main. */
void tokens_replace(struct tokens *tokens, struct token_set *set);

/* Finds whose token an "authorization" header's value brings. Returns a principal that the caller
 * releases, or NULL when the value is no Bearer token or not a known one. Takes the same time
 * whichever token it is, or none. */
const struct principal *tokens_find(struct tokens *tokens, const char *authorization,
                                    size_t length) MUST_CHECK;

/* NULL does nothing. */
void tokens_release(const struct principal *principal);

/* True while the principal's token is in the set with the same rights, prefix and name, and has a
 * limit of devices if it had one. */
bool tokens_hold(struct tokens *tokens, const struct principal *principal);

/* Grows with each reload, so that whoever holds principals can see when to ask tokens_hold(). */
uint64_t tokens_generation(const struct tokens *tokens);

/* Calls `visit` for each token of the set in force that has a limit of devices, with how many were
 * made with it, in the file's order. Any thread. */
void tokens_visit_allowances(struct tokens *tokens,
                             void (*visit)(void *target, const char *name, uint64_t taken,
                                           uint64_t limit),
                             void *target);

/* True when the rights (of enum token_right) include one; TOKEN_ADMIN includes all. */
static inline bool token_allows(unsigned rights, enum token_right right)
{
    return (rights & ((unsigned)right | TOKEN_ADMIN)) != 0;
}

#endif
