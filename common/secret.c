/* See secret.h. Nothing is buffered, so the only copy is the caller's. */
#include "common/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int refuse(const char *why, char error[SECRET_ERROR_BYTES])
{
    snprintf(error, SECRET_ERROR_BYTES, "%s", why);
    return -EINVAL;
}

static int refuse_errno(int number, char error[SECRET_ERROR_BYTES])
{
    snprintf(error, SECRET_ERROR_BYTES, "%s", strerror(number));
    return -number;
}

/* Reads up to SECRET_BYTES bytes; `*length` says how many there were. */
static int read_start(int fd, char bytes[SECRET_BYTES], size_t *length,
                      char error[SECRET_ERROR_BYTES])
{
    struct stat status;

    if (fstat(fd, &status))
        return refuse_errno(errno, error);
    if (!S_ISREG(status.st_mode))
        return refuse("it is no regular file", error);
    for (*length = 0; *length < SECRET_BYTES;) {
        ssize_t got = read(fd, bytes + *length, SECRET_BYTES - *length);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return refuse_errno(errno, error);
        if (got == 0)
            break;
        *length += (size_t)got;
    }
    return 0;
}

/* Ends the line that `bytes` begin with, in place. */
static int cut_line(char bytes[SECRET_BYTES], size_t length, char error[SECRET_ERROR_BYTES])
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

int secret_read(const char *path, char secret[SECRET_BYTES], char error[SECRET_ERROR_BYTES])
{
    /* Without O_NONBLOCK, opening a FIFO would wait for whoever writes it. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), result;
    size_t length = 0;

    if (fd < 0)
        return refuse_errno(errno, error);
    result = read_start(fd, secret, &length, error);
    if (!result)
        result = cut_line(secret, length, error);
    if (result)
        secret_wipe(secret);
    close(fd);
    return result;
}

void secret_wipe(char secret[SECRET_BYTES])
{
    explicit_bzero(secret, SECRET_BYTES);
}
