/*
 * provider_sns.h - the envelope in which Amazon SNS posts notifications.
 *
 * The envelope is JSON and signed by a certificate that it names itself, so
 * three things are checked before anything is fetched or believed: the topic
 * is one of ours (an attacker's own topic signs correctly too), the host of
 * the certificate is SNS, and the signature covers the fields (SRC-29).
 */
#pragma once

#include "engine/provider_item.h"

#define SNS_PARTS_MAX 28 /* seven lines of name, "\n", value, "\n" */

struct sns_envelope {
    struct str type, message, message_id, timestamp, topic_arn;
    struct str subject; /* not given when null (SRC-42) */
    struct str token, subscribe_url;
    struct str version, signature, certificate_url;
};

/* ERR_MALFORMED when the body is no JSON object; members of other types count as absent. */
enum err sns_read(struct op *op, struct str body, struct sns_envelope *ret_envelope);

/* The string to sign, in pieces; 0 when the type has none. */
size_t sns_signed_parts(const struct sns_envelope *envelope, struct str parts[SNS_PARTS_MAX]);

/* https, host sns.REGION.amazonaws.com or .com.cn, no port and no user; with is_certificate the path ends in .pem. */
bool sns_url_is_safe(struct str url, bool is_certificate);

/*
 * Checks topic, certificate and signature. Sets the verdict to HOOK_ACCEPTED, HOOK_NEEDS_CERTIFICATE with its url, or
 * HOOK_BAD_SIGNATURE. ERR_TOO_LARGE only.
 */
enum err sns_verify(struct op *op, const struct provider_source *source, const struct sns_envelope *envelope,
                    struct provider_hook *hook);
