#include "engine/simulate_fact.h"

#include <assert.h>

#define COUNT(table) (uint8_t)(sizeof(table) / sizeof *(table))

/*
 * Final failures. What suppresses whom is ledger.md section 5: an unknown address by its enhanced code or by the
 * provider's own word, never a refusal of the content, the size or the sender.
 */
const struct sim_failure sim_permanent[] = {
    { "bounce", "550", "5.1.1", NULL, "No such mailbox here", "", 550, "5.1.1", 30, false, SUPPRESS_BOUNCE },
    { "bounce", "550", "", NULL, "user unknown", "", 550, "", 10, false, SUPPRESS_BOUNCE },
    { "generic", "550", "5.1.1", NULL, "smtp; 550-5.1.1 This account does not exist.\n550 5.1.1 Check the spelling.",
      "Not delivered", 550, "5.1.1", 10, false, SUPPRESS_BOUNCE },
    { "generic", "\"550\"", "5.2.1", NULL, "mailbox disabled", "", 550, "5.2.1", 4, false, SUPPRESS_BOUNCE },
    { "generic", "550", "5.4.4", NULL, NULL, "No MX for this domain", 550, "5.4.4", 4, false, SUPPRESS_BOUNCE },
    { "moved-away", "550", "5.1.10", NULL, "Recipient not found, null MX", "", 550, "5.1.10", 2, false,
      SUPPRESS_BOUNCE },
    { "generic", "\"5.1.1\"", NULL, NULL, "Adresse inconnue \xC3\xA0 ce domaine", "", EVENT_CODE_NONE, "5.1.1", 2, true,
      SUPPRESS_BOUNCE },
    { "suppress-bounce", "605", "", NULL, "", "Not delivering to previously bounced address", 605, "", 9, false,
      SUPPRESS_BOUNCE },
    { "suppress-complaint", "607", "", NULL, "", "Not delivering to a user who marked your messages as spam", 607, "",
      3, false, SUPPRESS_COMPLAINT },
    { "hardfail", "607", "", NULL, "", "complained before", 607, "", 1, false, SUPPRESS_COMPLAINT },
    { "suppress-unsubscribe", "606", "", NULL, "", "Not delivering to unsubscribed address", 606, "", 4, false,
      SUPPRESS_UNSUBSCRIBE },
    { "generic", "554", "5.7.1", NULL, "Message refused by policy", "", 554, "5.7.1", 9, false, SUPPRESS_NOT },
    { "espblock", "550", "5.7.509", NULL, "Sender domain fails its own policy", "", 550, "5.7.509", 3, false,
      SUPPRESS_NOT },
    { "generic", "552", "5.3.4", NULL, "Message too large", "", 552, "5.3.4", 2, false, SUPPRESS_NOT },
    { "generic", "554", "5.6.0", NULL, "Content \"not\" wanted\t(\\)", "", 554, "5.6.0", 2, false, SUPPRESS_NOT },
    { "generic", "552", "5.2.2", NULL, "Mailbox full", "", 552, "5.2.2", 2, false, SUPPRESS_NOT },
    { "old", "602", "", NULL, NULL, "Too old", 602, "", 3, true, SUPPRESS_NOT },
};
const uint8_t sim_permanent_count = COUNT(sim_permanent);

/* Still being tried: nobody is suppressed, whatever the code looks like. */
const struct sim_failure sim_temporary[] = {
    { "generic", "451", "4.7.652", NULL, "Too many connections from your host", "", 451, "4.7.652", 30, false,
      SUPPRESS_NOT },
    { "greylisted", "450", "4.2.0", NULL, "Greylisted, come again in 300 seconds", "", 450, "4.2.0", 30, false,
      SUPPRESS_NOT },
    { "generic", "421", "4.4.2", NULL, "Connection dropped", "", 421, "4.4.2", 15, false, SUPPRESS_NOT },
    { "generic", "498", NULL, NULL, "No MX host answers", NULL, 498, "", 10, false, SUPPRESS_NOT },
    { "generic", "452", "4.2.2", NULL, NULL, "Mailbox full", 452, "4.2.2", 8, false, SUPPRESS_NOT },
    { "generic", "612", "5.1.1", NULL, "Looked up again later", "", 612, "5.1.1", 5, true, SUPPRESS_NOT },
    { "generic", "null", NULL, NULL, "", "", EVENT_CODE_NONE, "", 2, true, SUPPRESS_NOT },
};
const uint8_t sim_temporary_count = COUNT(sim_temporary);

/* Bounces that come after "delivered" (SRC-38). */
const struct sim_failure sim_late_bounce[] = {
    { "generic", "550", NULL, "5.1.1", "smtp; 550-5.1.1 This account does not exist.", "Sorry, not delivered", 550,
      "5.1.1", 6, false, SUPPRESS_BOUNCE },
    { "generic", "554", "", "5.7.1", "smtp; 554 refused after all", "Sorry, not delivered", 554, "5.7.1", 4, false,
      SUPPRESS_NOT },
};
const uint8_t sim_late_bounce_count = COUNT(sim_late_bounce);

/* Never left the provider; `reason` and `description` of "reject". */
const struct sim_failure sim_rejection[] = {
    { "Sandbox subdomains are for test purposes only.", NULL, NULL, NULL, NULL, "", EVENT_CODE_NONE, "", 1, true,
      SUPPRESS_NOT },
};
const uint8_t sim_rejection_count = COUNT(sim_rejection);

const struct sim_failure *sim_failure_of(uint8_t detail)
{
    static const struct sim_failure *const tables[] = { sim_permanent, sim_temporary, sim_late_bounce, sim_rejection };
    const uint8_t counts[] = { sim_permanent_count, sim_temporary_count, sim_late_bounce_count, sim_rejection_count };
    assert(detail % 64 < counts[detail / 64]);
    return &tables[detail / 64][detail % 64];
}

const struct sim_client sim_clients[SIM_CLIENTS] = {
    { "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36",
      "", "Chrome", "Windows", "desktop", "browser", SIM_HOME, 0 },
    { "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 "
      "Safari/605.1.15",
      "", "Safari", "OS X", "desktop", "browser", SIM_HOME, 0 },
    { "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148",
      "", "Mobile Safari", "iOS", "mobile", "mobile browser", SIM_HOME_V6, 0 },
    { "Mozilla/5.0 (X11; Linux x86_64; rv:132.0) Gecko/20100101 Thunderbird/132.0", "", "Thunderbird", "Linux",
      "desktop", "email client", SIM_HOME, 0 },
    { "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Mobile "
      "Safari/537.36",
      "", "Chrome Mobile", "Android", "mobile", "mobile browser", SIM_HOME_V6, 0 },
    { "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:132.0) Gecko/20100101 Firefox/132.0", "", "Firefox", "Windows",
      "desktop", "browser", SIM_HOME, 0 },
    { "Mozilla/5.0 (X11; Linux x86_64; rv:115.0) Gecko/20100101 Firefox/115.0", "", "Firefox", "Linux", "desktop",
      "browser", SIM_BROKEN, 0 },
    { NULL, "", "", "", "", "", SIM_HOME, 0 },
    { "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)", "",
      "Gmail image proxy", "Windows", "unknown", "email client", SIM_PROXY, BIT_IMAGE_PROXY },
    { "YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html", "", "Yahoo Mail proxy", "unknown",
      "unknown", "email client", SIM_PROXY, BIT_IMAGE_PROXY },
    { "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/108.0.0.0 Safari/537.36",
      "", "Chrome", "Windows", "desktop", "browser", SIM_GATEWAY, 0 },
    { "Mozilla/5.0 (Windows NT 6.1; WOW64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/86.0.4240.198 Safari/537.36",
      "", "Chrome", "Windows", "desktop", "browser", SIM_GATEWAY_V6, 0 },
    { "Mozilla/5.0", "apple", "unknown", "unknown", "unknown", "unknown", SIM_PROXY, BIT_PROVIDER | BIT_MAIL_PROXY },
    { "Mozilla/5.0", "", "unknown", "unknown", "unknown", "unknown", SIM_PROXY, BIT_MAIL_PROXY },
    { "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/99.0.4844.51 Safari/537.36",
      "generic", "Chrome", "Windows", "desktop", "browser", SIM_GATEWAY, BIT_PROVIDER },
    { "", "", "unknown", "unknown", "unknown", "unknown", SIM_GATEWAY, BIT_AGENT },
};

const char *const sim_links[SIM_LINKS_MAX] = {
    "https://www.sim.example/",
    "https://www.sim.example/issue/47",
    "https://www.sim.example/a-farm-in-spring",
    "https://www.sim.example/caf%C3%A9?table=2&seat=7",
    "https://www.sim.example/interview?utm_source=mail&utm_medium=letter&utm_campaign=47",
    "https://www.sim.example/read/4711#comments",
    "https://shop.sim.example/offers?id=12",
    "https://shop.sim.example/offers?id=13",
    "http://old.sim.example/archive/2019/",
    "https://www.sim.example/reader's-letters",
    "https://www.sim.example/about",
    "https://www.sim.example/preferences?u=1",
};
