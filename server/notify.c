/* A socket is made for each message: they are few, and nothing has to be kept. */
#include "server/notify.h"

#include "common/clock.h"
#include "common/log.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define MESSAGE_BYTES 256
#define SEND_MS       200 /* for a manager that does not read; main has other things to do */

/* Fills the address of a path, or of an abstract name ("@name", a NUL before it on the wire).
 * Returns its length, 0 when it is neither. */
static socklen_t fill_address(struct sockaddr_un *address, const char *name)
{
    size_t length = strlen(name);

    if ((name[0] != '/' && name[0] != '@') || length < 2 || length >= sizeof address->sun_path)
        return 0;
    memset(address, 0, sizeof *address);
    address->sun_family = AF_UNIX;
    memcpy(address->sun_path, name, length);
    if (name[0] == '@')
        address->sun_path[0] = '\0';
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
}

static int send_to(const struct sockaddr_un *address, socklen_t length, const char *message)
{
    const struct timeval timeout = {.tv_usec = SEND_MS * 1000};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), error = 0;

    if (fd < 0)
        return -errno;
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
    if (sendto(fd, message, strlen(message), MSG_NOSIGNAL, (const struct sockaddr *)address,
               length) < 0)
        error = -errno;
    close(fd);
    return error;
}

static void tell(const char *message)
{
    const char *name = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address;
    socklen_t length;
    int error;

    if (!name || !*name)
        return;
    length = fill_address(&address, name);
    error = length ? send_to(&address, length, message) : -EAFNOSUPPORT;
    if (error)
        log_warn("cannot tell the service manager \"%s\" on %s: %s", message, name,
                 strerror(-error));
}

void notify_ready(void)
{
    tell("READY=1\nSTATUS=counting");
}

void notify_reloading(void)
{
    char message[MESSAGE_BYTES];

    snprintf(message, sizeof message, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
             clock_now_ns() / 1000);
    tell(message);
}

void notify_stopping(void)
{
    tell("STOPPING=1\nSTATUS=draining");
}

void notify_alive(void)
{
    tell("WATCHDOG=1");
}

void notify_trouble(const char *why)
{
    char message[MESSAGE_BYTES];

    snprintf(message, sizeof message, "STATUS=%s", why);
    tell(message);
}

uint64_t notify_watchdog_ms(void)
{
    const char *period = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");

    if (!period || (pid && strtoull(pid, NULL, 10) != (unsigned long long)getpid()))
        return 0;
    return strtoull(period, NULL, 10) / 1000;
}
