/*
 * The token file: a line for each token (common/token_entry.h), for people to read and to keep in
 * git.
 *
 *     # who        may do  by the token with this hash          and only
 *     fleet-north  ingest  sha256=<64 hexadecimal digits>  prefix=north%2F max-devices=5000
 *     grafana      read    sha256=<64 hexadecimal digits>
 *
 * First a name (letters, digits, "-", "_" and ".", at most 64), then its rights separated by
 * commas, then fields in any order. Blanks or tabs stand between them. The prefix is UTF-8, with
 * %20 for a blank, %25 for %, and so on. A line that starts with # is a comment. No name, hash or
 * field may come twice. A prefix or a limit needs the right to send, which is all that it limits.
 * Nothing else is let pass: an error is better than a right that nobody meant to give.
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
#include "common/token_entry.h"

#include <stddef.h>

#define TOKEN_FILE_MAX_BYTES  (2u << 20)
#define TOKEN_FILE_MAX_TOKENS 4096

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
 * negative errno with one line in `error` that names the file, and the line that is wrong; `file`
 * is empty then. Any thread. */
int token_file_read(const char *path, struct token_file *file, unsigned *mode,
                    char error[ERROR_BYTES]) MUST_CHECK;

#endif
