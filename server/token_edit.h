/*
 * A change of the token file that nobody sees half done: under a lock, a new file beside the old
 * one, on the disk before it takes the old one's name. Owner and permissions stay as they were.
 * Called by: main, in "tallyd token".
 */
#ifndef TALLYD_SERVER_TOKEN_EDIT_H
#define TALLYD_SERVER_TOKEN_EDIT_H

#include "common/compiler.h"
#include "common/token_file.h"

#include <stdbool.h>
#include <stddef.h>

/* Where the file is: shown because the command reads all of it. */
struct token_edit {
    char *path;    /* heap; no symbolic link, so that what is renamed is the file */
    int directory; /* locked until token_edit_end() */
    bool exists;   /* else the text is empty */
    char *text;    /* heap */
    size_t length;
    struct token_file file; /* what the text says */
};

/* Locks the file's directory, waiting for others a few seconds at most, and reads the file; unless
 * `may_be_missing`, it must be there. Returns 0, or a negative errno with one line in `error`.
 * Whatever it returns, the caller calls token_edit_end(). */
int token_edit_begin(struct token_edit *edit, const char *path, bool may_be_missing,
                     char error[ERROR_BYTES]) MUST_CHECK;

/* Puts a new text in place of the old one. Refuses one that is not a token file. Returns 0, or a
 * negative errno with `error`; then the file is as it was. */
int token_edit_commit(struct token_edit *edit, const char *text, size_t length,
                      char error[ERROR_BYTES]) MUST_CHECK;

void token_edit_end(struct token_edit *edit);

#endif
