/*
 * A token itself: the prefix "tally_", by which a scanner of repositories or a person knows what it
 * has found, and 32 random bytes as base64url.
 *
 * Only its SHA-256 is ever stored. A slow hash, as passwords need, would add nothing: nobody can
 * try 2^256 tokens however fast the hash is. That holds because text of another form is never
 * taken for a token, so a file cannot hold the hash of something that a person chose.
 *
 * Any thread; no state.
 */
#ifndef TALLYD_COMMON_TOKEN_SECRET_H
#define TALLYD_COMMON_TOKEN_SECRET_H

#include "common/compiler.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TOKEN_SECRET_PREFIX "tally_"
#define TOKEN_SECRET_CHARS  49 /* of the whole: the prefix, and 43 that hold 256 bits */
#define TOKEN_HASH_BYTES    32

/* Makes a token, with a NUL behind it. Returns 0 or a negative errno of getrandom(). The caller
 * wipes it when it was shown. */
int token_secret_make(char secret[TOKEN_SECRET_CHARS + 1]) MUST_CHECK;

/* True if the text has a token's form. */
bool token_secret_is_one(const char *text, size_t length);

/* The SHA-256 of a text. Returns 0, or -ENOMEM when OpenSSL cannot work. */
int token_secret_hash(const char *text, size_t length, uint8_t hash[TOKEN_HASH_BYTES]) MUST_CHECK;

#endif
