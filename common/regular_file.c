/* See regular_file.h. */
#include "common/regular_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Reads what `fd` has, up to its end or `room`. */
static ssize_t read_all(int fd, char *bytes, size_t room)
{
    size_t used = 0;

    while (used < room) {
        ssize_t got = read(fd, bytes + used, room - used);

        if (got < 0 && errno != EINTR)
            return -errno;
        if (got == 0)
            break;
        used += got > 0 ? (size_t)got : 0;
    }
    return (ssize_t)used;
}

/* Returns a descriptor or a negative errno. */
static int open_regular(const char *path, struct stat *status)
{
    /* Without O_NONBLOCK, opening a FIFO would wait for whoever writes it. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), error = 0;

    if (fd < 0)
        return -errno;
    if (fstat(fd, status))
        error = -errno;
    else if (!S_ISREG(status->st_mode))
        error = -EINVAL;
    if (!error)
        return fd;
    close(fd);
    return error;
}

ssize_t regular_file_read(const char *path, char *bytes, size_t room, unsigned *mode)
{
    struct stat status = {0};
    int fd = open_regular(path, &status);
    ssize_t result;

    if (fd < 0)
        return fd;
    if (mode)
        *mode = status.st_mode & 07777;
    result = read_all(fd, bytes, room);
    close(fd);
    return result;
}

FILE *regular_file_open(const char *path)
{
    struct stat status = {0};
    int fd = open_regular(path, &status), error;
    FILE *file;

    if (fd < 0) {
        errno = -fd;
        return NULL;
    }
    file = fdopen(fd, "r");
    if (file)
        return file;
    error = errno;
    close(fd);
    errno = error;
    return NULL;
}

const char *regular_file_strerror(int error)
{
    return error == EINVAL ? "it is no regular file" : strerror(error);
}
