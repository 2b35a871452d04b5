/* Two families, so two passes: a scrape may see one token in one of them only, if the file is read
 * again between them. */
#include "http/token_metrics.h"

#include "common/tokens.h"
#include "http/exposition.h"

static void write_sample(struct exposition *e, const char *name, uint64_t value)
{
    const struct exposition_label label = exposition_label("name", name);

    exposition_sample(e, &label, 1, value, 0);
}

static void write_taken(void *target, const char *name, uint64_t taken, uint64_t limit)
{
    (void)limit;
    write_sample(target, name, taken);
}

static void write_limit(void *target, const char *name, uint64_t taken, uint64_t limit)
{
    (void)taken;
    write_sample(target, name, limit);
}

void token_metrics_write(struct exposition *exposition, struct tokens *tokens)
{
    if (!tokens)
        return;
    exposition_family(exposition, "tallyd_token_devices", EXPOSITION_GAUGE,
                      "Devices made with a token that may only make so many.");
    tokens_visit_allowances(tokens, write_taken, exposition);
    exposition_family(exposition, "tallyd_token_devices_limit", EXPOSITION_GAUGE,
                      "How many devices may be made with that token.");
    tokens_visit_allowances(tokens, write_limit, exposition);
}
