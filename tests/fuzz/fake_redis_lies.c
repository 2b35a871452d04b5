/* Answers that no Redis gives; see fake_redis_private.h. */
#include "tests/fuzz/fake_redis_private.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void lie_number(uint64_t value)
{
    char text[24];

    snprintf(text, sizeof text, "%" PRIu64, value);
    fake_redis_say("$%zu\r\n%s\r\n", strlen(text), text);
}

void fake_redis_lie(unsigned kind)
{
    static const char *const answers[] = {
        "*-1\r\n",
        "$-1\r\n",
        ":1\r\n",
        "+OK\r\n",
        "+QUEUED\r\n",
        "-EXECABORT x\r\n",
        "-ERR x\r\n",
        "*0\r\n",
        "",
        "$4\r\ntext\r\n",
        "-WRONGTYPE\r\n",
        "*2147483647\r\n",
        "-\r\n",
        "*1\r\n*1\r\n*1\r\n:1\r\n",
    };
    uint8_t detail = fake_redis_decide();

    switch (kind % 5) {
    case 0:
        fake_redis_say("%s", answers[detail % (sizeof answers / sizeof *answers)]);
        break;
    case 1: /* an array of simple answers, as EXEC's is */
        fake_redis_say("*%u\r\n", detail % 8u);
        for (unsigned i = 0; i < detail % 8u; i++)
            fake_redis_say("%s", detail < 128 ? ":7\r\n" : answers[fake_redis_decide() % 7]);
        break;
    case 2: /* a ledger, and maybe the right one */
        fake_redis_say("*4\r\n");
        lie_number(detail & 64 ? fake.data.epoch : detail);
        lie_number(detail & 128 ? fake.data.owner : fake.said.sent_owner);
        lie_number(fake.said.sent + (detail & 3) - 1);
        lie_number(detail & 32 ? fake.data.started : detail);
        break;
    case 3: /* the same, as numbers */
        fake_redis_say("*4\r\n:%u\r\n:%" PRIu64 "\r\n:%" PRIu64 "\r\n:1\r\n", detail,
                       fake.data.owner, fake.said.sent);
        break;
    default: /* any bytes */
        for (unsigned i = 0; i < detail % 64u && !fake_redis_script_ended(); i++)
            fake_redis_say("%c", fake_redis_decide());
    }
}
