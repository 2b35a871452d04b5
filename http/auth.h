/*
 * Who may ask for what over HTTP. Without a token file everybody may ask for everything; with one,
 * each request brings "Authorization: Bearer TOKEN" (RFC 6750) of a token with the right that the
 * path needs. Paths of --http-public need nothing, nor do the files that are built in, which hold
 * no data and let a person type a token in.
 */
#ifndef TALLYD_HTTP_AUTH_H
#define TALLYD_HTTP_AUTH_H

#include "common/compiler.h"
#include "common/error.h"
#include "common/tokens.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct request;

/* Reads a list of paths, separated by commas, out of at most 64 known ones; a known path that ends
 * in a slash is the beginning of many, and is called with a star behind it. A path that is just
 * that, slash and star, stands for all. Bit i of `set` is set when known[i] is in the list. Returns
 * 0, or -EINVAL with one line in `error`, for a path that is not known: it would be public in
 * vain. Any thread. */
int auth_read_public(const char *list, const char *const *known, size_t count, uint64_t *set,
                     char error[ERROR_BYTES]) MUST_CHECK;

/* Lets a request in, or answers it: 401 without a token that is known, 403 with one that lacks the
 * right. Returns 0, with request->principal for auth_done() to release, or the status sent. Called
 * by: http. */
int auth_admit(struct request *request, enum token_right right) MUST_CHECK;

/* True while the token that a request came in by has not been revoked or changed: for answers that
 * take long. Called by: http. */
bool auth_holds(struct request *request) MUST_CHECK;

/* To be called when a request was answered that was let in, or was not. Called by: http. */
void auth_done(struct request *request);

#endif
