/*
 * Reads a secret (a password) from a file, so that it stands neither on a command line nor in an
 * environment, and can be replaced while the program runs: read it again each time it is needed.
 */
#ifndef TALLYD_COMMON_SECRET_H
#define TALLYD_COMMON_SECRET_H

#include "common/compiler.h"
#include "common/error.h"

#include <stddef.h>

#define SECRET_BYTES 1024 /* with its terminator */

/* Reads the first line of the file at `path`, without its end of line, into `secret`; the caller
 * wipes it with secret_wipe(). Never waits for a writer: what is no regular file is refused.
 * Returns 0, or a negative errno with a clause in `error` that holds neither path nor secret ("No
 * such file or directory", "it is empty"): -EINVAL for a line that is empty, too long, or holds a
 * NUL. Any thread. */
int secret_read(const char *path, char secret[SECRET_BYTES], char error[ERROR_BYTES]) MUST_CHECK;

/* Overwrites it; no compiler leaves that out. Any thread. */
void secret_wipe(char secret[SECRET_BYTES]);

#endif
