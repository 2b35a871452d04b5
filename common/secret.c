/* See secret.h. Nothing is buffered, so the only copy is the caller's. */
#include "common/secret.h"

#include "common/regular_file.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static int refuse(const char *why, char error[ERROR_BYTES])
{
    snprintf(error, ERROR_BYTES, "%s", why);
    return -EINVAL;
}

/* Ends the line that `bytes` begin with, in place. */
static int cut_line(char bytes[SECRET_BYTES], size_t length, char error[ERROR_BYTES])
{
    char *end;

    if (!length)
        return refuse("it is empty", error);
    end = memchr(bytes, '\n', length);
    if (!end && length == SECRET_BYTES)
        return refuse("its first line is longer than 1023 bytes", error);
    if (!end)
        end = bytes + length;
    if (memchr(bytes, '\0', (size_t)(end - bytes)))
        return refuse("its first line holds a NUL byte", error);
    if (end > bytes && end[-1] == '\r')
        end--;
    if (end == bytes)
        return refuse("its first line is empty", error);
    *end = '\0';
    return 0;
}

int secret_read(const char *path, char secret[SECRET_BYTES], char error[ERROR_BYTES])
{
    ssize_t length = regular_file_read(path, secret, SECRET_BYTES, NULL);
    int result = (int)length;

    if (length < 0)
        snprintf(error, ERROR_BYTES, "%s", regular_file_strerror(-result));
    else
        result = cut_line(secret, (size_t)length, error);
    if (result)
        secret_wipe(secret);
    return result;
}

void secret_wipe(char secret[SECRET_BYTES])
{
    explicit_bzero(secret, SECRET_BYTES);
}
