/* What the service manager is told: the test is the manager. */
#include "common/compiler.h"
#include "server/notify.h"
#include "tests/unit/unit.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int manager = -1;
static char path[64];

/* A socket of the manager's, by a path or by an abstract name; NOTIFY_SOCKET names it. */
static void listen_on(const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    assert_in_range(strlen(name), 1, sizeof address.sun_path - 1);
    strcpy(address.sun_path, name);
    if (name[0] == '@')
        address.sun_path[0] = '\0';
    manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(manager, (struct sockaddr *)&address,
                          (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name))),
                     0);
    setenv("NOTIFY_SOCKET", name, 1);
}

static const char *heard(void)
{
    static char text[512];
    ssize_t n = recv(manager, text, sizeof text - 1, 0);

    text[n < 0 ? 0 : n] = '\0';
    return text;
}

static int start(void **state)
{
    (void)state;
    snprintf(path, sizeof path, "/tmp/test_notify.%d", (int)getpid());
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
    return 0;
}

static int finish(void **state)
{
    (void)state;
    if (manager >= 0)
        close(manager);
    manager = -1;
    unlink(path);
    unsetenv("NOTIFY_SOCKET");
    return 0;
}

static void tell_reaches_a_path_and_an_abstract_name(void **state)
{
    char abstract[80];

    (void)state;
    listen_on(path);
    notify_ready();
    assert_string_equal(heard(), "READY=1\nSTATUS=counting");
    notify_alive();
    assert_string_equal(heard(), "WATCHDOG=1");
    close(manager);
    snprintf(abstract, sizeof abstract, "@test_notify/%d", (int)getpid());
    listen_on(abstract);
    notify_stopping();
    assert_string_equal(heard(), "STOPPING=1\nSTATUS=draining");
    notify_trouble("worker 1 hangs");
    assert_string_equal(heard(), "STATUS=worker 1 hangs");
}

static void reloading_has_the_time_by_the_clock_that_never_jumps(void **state)
{
    unsigned long long usec;
    const char *text;

    (void)state;
    listen_on(path);
    notify_reloading();
    text = heard();
    assert_int_equal(sscanf(text, "RELOADING=1\nMONOTONIC_USEC=%llu", &usec), 1);
    assert_true(usec > 0);
}

/* Nobody listens, or cannot be reached: that is said in the log, and does no harm. */
static void tell_to_nobody_goes_on(void **state)
{
    static const char *const names[] = {"", "/tmp/nobody/listens/here", "@", "vsock:2:1", "/"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        setenv("NOTIFY_SOCKET", names[i], 1);
        notify_ready();
    }
    unsetenv("NOTIFY_SOCKET");
    notify_ready();
}

/* A manager that does not read holds up a message for a moment, not for ever. */
static void tell_to_a_manager_that_does_not_read_ends(void **state)
{
    (void)state;
    listen_on(path);
    for (int i = 0; i < 5; i++)
        notify_alive();
    for (int i = 0; i < 1000 && strcmp(heard(), "") != 0; i++)
        ;
}

static void watchdog_is_in_milliseconds_and_for_this_process(void **state)
{
    char pid[24];

    (void)state;
    assert_int_equal(notify_watchdog_ms(), 0);
    setenv("WATCHDOG_USEC", "30000000", 1);
    assert_int_equal(notify_watchdog_ms(), 30000);
    snprintf(pid, sizeof pid, "%d", (int)getpid());
    setenv("WATCHDOG_PID", pid, 1);
    assert_int_equal(notify_watchdog_ms(), 30000);
    setenv("WATCHDOG_PID", "1", 1);
    assert_int_equal(notify_watchdog_ms(), 0);
}

#define RUN(test) cmocka_unit_test_setup_teardown(test, start, finish)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(tell_reaches_a_path_and_an_abstract_name),
        RUN(reloading_has_the_time_by_the_clock_that_never_jumps),
        RUN(tell_to_nobody_goes_on),
        RUN(tell_to_a_manager_that_does_not_read_ends),
        RUN(watchdog_is_in_milliseconds_and_for_this_process),
    };

    return cmocka_run_group_tests_name("notify", tests, NULL, NULL);
}
