/*
 * The token file: a line for each token, for people to read and to keep in git.
 *
 *     # who        may do  by the token with this hash          and only
 *     fleet-north  ingest  sha256=<64 hexadecimal digits>  prefix=north%2F max-devices=5000
 *     grafana      read    sha256=<64 hexadecimal digits>
 *
 * First a name (letters, digits, "-", "_" and ".", at most 64), then its rights separated by
 * commas, then fields in any order. Blanks or tabs stand between them. The prefix is UTF-8, with
 * %20 for a blank, %25 for %, and so on. A line that starts with # is a comment. No name, hash or
 * field may come twice. A prefix or a limit needs the right to send, which is all that it limits.
 * Nothing else is let pass: an error is better than a right that nobody meant
 * to give.
 *
 * Messages tell the line and never quote it: it might hold a token that was pasted there by
 * mistake.
 *
 * Any thread; no state.
 */
#ifndef TALLYD_COMMON_TOKEN_FILE_H
#define TALLYD_COMMON_TOKEN_FILE_H

#include "common/compiler.h"
#include "common/error.h"
#include "common/token_secret.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TOKEN_FILE_MAX_BYTES    (2u << 20)
#define TOKEN_FILE_MAX_TOKENS   4096
#define TOKEN_FILE_LINE_BYTES   1024 /* without the newline */
#define TOKEN_FILE_NAME_BYTES   64
#define TOKEN_FILE_PREFIX_BYTES 256 /* decoded */
#define TOKEN_FILE_MAX_DEVICES  UINT64_C(1000000000)
#define TOKEN_FILE_NO_LIMIT     UINT64_MAX

struct token_entry {
    char name[TOKEN_FILE_NAME_BYTES + 1];
    unsigned rights; /* of enum token_right, at least one */
    uint8_t hash[TOKEN_HASH_BYTES];
    size_t prefix_length;
    char *prefix;         /* heap; "" when there is none. A NUL behind it, and maybe in it */
    uint64_t max_devices; /* TOKEN_FILE_NO_LIMIT: none */
    unsigned line;        /* that it stands on, from 1 */
};

struct token_file {
    struct token_entry *entries; /* in the file's order */
    size_t count;
    char *text; /* what it was read from; NULL by token_file_parse() */
    size_t length;
};

/* Reads the bytes of a file. Returns 0, or -EINVAL or -ENOMEM with one line in `error`: "line 7:
 * ..." The caller calls token_file_fini() when it returns 0; else `file` is empty. */
int token_file_parse(struct token_file *file, const char *bytes, size_t length,
                     char error[ERROR_BYTES]) MUST_CHECK;
void token_file_fini(struct token_file *file);

/* Reads a regular file of at most TOKEN_FILE_MAX_BYTES. Returns its bytes, heap, for the caller to
 * free, or NULL with errno and `error`. `mode`, unless NULL, gets its permissions. */
char *token_file_load(const char *path, size_t *length, unsigned *mode,
                      char error[ERROR_BYTES]) MUST_CHECK;

/* Both: reads a file, and what it has. Returns 0, and the caller calls token_file_fini(), or a
 * negative errno with one line in `error` that names the file, and the line that is wrong; `file` is
 * empty then. Any thread. */
int token_file_read(const char *path, struct token_file *file, unsigned *mode,
                    char error[ERROR_BYTES]) MUST_CHECK;

/* True if a text may be a name. */
bool token_file_is_name(const char *text);

/* True if a token that holds these rights may have a prefix or a limit: if it may send. */
bool token_file_is_limitable(unsigned held);

#endif
