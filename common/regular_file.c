/* See regular_file.h. */
#include "common/regular_file.h"

#include <errno.h>
#include <fcntl.h>
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

ssize_t regular_file_read(const char *path, char *bytes, size_t room, unsigned *mode)
{
    /* Without O_NONBLOCK, opening a FIFO would wait for whoever writes it. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat status;
    ssize_t result;

    if (fd < 0)
        return -errno;
    if (fstat(fd, &status)) {
        result = -errno;
    } else if (!S_ISREG(status.st_mode)) {
        result = -EINVAL;
    } else {
        if (mode)
            *mode = status.st_mode & 07777;
        result = read_all(fd, bytes, room);
    }
    close(fd);
    return result;
}
