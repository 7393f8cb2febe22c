/*
 * agent.h - what a user agent says about who opened or clicked.
 *
 * Scanners of mail gateways, link checkers and previews mostly name
 * themselves. data/scanners.txt lists their names; it is compiled in, and a
 * list of the same form may be added by configuration. A list becomes one
 * Aho-Corasick automaton, so an agent is read once however long the list is.
 *
 * Form of a list, one entry a line, case of ASCII letters ignored:
 *
 *     # comment
 *     headlesschrome     anywhere in the agent
 *     ^curl/             only at its beginning
 *     =BuiltWith/1.4     the whole agent, nothing more
 *     !cubot             no machine, although "bot" stands in it
 *
 * Where entries end at the same byte of an agent the longest one decides.
 *
 * Thread: a list never changes once made and may be read by all threads.
 */
#pragma once

#include "engine/provider_event.h"

#define AGENT_BYTES_MAX       1024  /* of an agent that are looked at */
#define AGENT_LIST_BYTES_MAX  32768 /* of a list by configuration */
#define AGENT_ENTRY_BYTES_MAX 128

struct agent_list;

/* The list of the project and `more` (contents of a list file; not given = none). ERR_INVALID names the line that is
 * no entry, ERR_TOO_LARGE when the list is over AGENT_LIST_BYTES_MAX. The caller frees it. */
enum err agent_list_new(struct op *op, struct str more, struct agent_list **ret_list);
void agent_list_free(struct agent_list *list);

/* True when an entry of the list matches. */
bool agent_is_scanner(const struct agent_list *list, struct str agent);

/*
 * Evidence of an agent (LED section 6): BIT_AGENT for an empty one and for scanners, BIT_MAIL_PROXY when it is exactly
 * "Mozilla/5.0" (SRC-41), BIT_IMAGE_PROXY for opens by an image proxy. An agent that is not given is no evidence.
 * list may be NULL: no scanners are known then.
 */
uint32_t agent_bits(const struct agent_list *list, struct str agent, bool is_open);
