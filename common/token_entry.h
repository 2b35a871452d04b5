/*
 * One line of the token file (common/token_file.h, which has the grammar): who may do what, by
 * which token. Any thread; no state.
 */
#ifndef TALLYD_COMMON_TOKEN_ENTRY_H
#define TALLYD_COMMON_TOKEN_ENTRY_H

#include "common/compiler.h"
#include "common/error.h"
#include "common/token_secret.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TOKEN_ENTRY_LINE_BYTES   1024 /* of a line at most, without the newline */
#define TOKEN_ENTRY_NAME_BYTES   64
#define TOKEN_ENTRY_PREFIX_BYTES 256 /* decoded */
#define TOKEN_ENTRY_MAX_DEVICES  UINT64_C(1000000000)
#define TOKEN_ENTRY_NO_LIMIT     UINT64_MAX

struct token_entry {
    char name[TOKEN_ENTRY_NAME_BYTES + 1];
    unsigned rights; /* of enum token_right, at least one */
    uint8_t hash[TOKEN_HASH_BYTES];
    size_t prefix_length;
    char *prefix;         /* heap; "" when there is none. A NUL behind it, and maybe in it */
    uint64_t max_devices; /* TOKEN_ENTRY_NO_LIMIT: none */
    unsigned line;        /* that it stands on, from 1; token_file.c sets it */
};

/* True if a line has no entry: it is blank, or a comment. */
bool token_entry_is_absent(const char *line, size_t length);

/* Reads a line that has an entry, without its newline. Returns 0, -EINVAL with what is wrong in
 * `error`, which never quotes the line, or -ENOMEM. The caller calls token_entry_fini() in any
 * case. */
int token_entry_parse(struct token_entry *entry, const char *line, size_t length,
                      char error[ERROR_BYTES]) MUST_CHECK;
void token_entry_fini(struct token_entry *entry);

/* True if a text may be a name. */
bool token_entry_is_name(const char *text);

/* True if a token that holds these rights may have a prefix or a limit: if it may send. */
bool token_entry_is_limitable(unsigned held);

#endif
