/* Preloaded into tallyd (LD_PRELOAD): "redis.test" is 127.0.0.1, and while the file SLOW_NAMES is
 * there, to look it up takes half a minute and fails, as with name servers that do not answer. Each
 * time a byte is written to that file before. */
#include <dlfcn.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef int look_up(const char *, const char *, const struct addrinfo *, struct addrinfo **);

static bool is_slow(void)
{
    const char *path = getenv("SLOW_NAMES");
    int fd = path ? open(path, O_WRONLY | O_APPEND | O_CLOEXEC) : -1;
    bool noted = fd >= 0 && write(fd, "?", 1) == 1;

    if (fd >= 0)
        close(fd);
    return noted;
}

int getaddrinfo(const char *name, const char *service, const struct addrinfo *req,
                struct addrinfo **pai)
{
    look_up *usual;

    *(void **)&usual = dlsym(RTLD_NEXT, "getaddrinfo");
    if (name && strcmp(name, "redis.test") == 0 && !(req->ai_flags & AI_NUMERICHOST)) {
        if (is_slow()) {
            sleep(30);
            return EAI_AGAIN;
        }
        name = "127.0.0.1";
    }
    return usual(name, service, req, pai);
}
