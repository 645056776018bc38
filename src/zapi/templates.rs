//! Route templates of the Z-API calls that the gateway does not translate, for log and metrics. The
//! privacy calls are in `routes.rs`.
//!
//! Source: Z-API's pages, each with one method and one path. The table is closed, so neither an id nor a
//! token, a phone number or a path that a client made up can be a label, and the number of labels is
//! bounded. A lookup allocates nothing: it is a binary search for the first segment.

use http::Method;

use super::path::{segments, split};

/// The template of a call that Z-API does not document, or not with this method.
pub const OTHER: &str = "other";

/// A call that Z-API documents.
struct Documented {
    method: Method,
    /// The path without the part that names instance and token. `{…}` stands for one segment.
    path: &'static str,
    /// The first segment of `path`, which the search compares.
    first: &'static str,
    /// The whole path.
    template: &'static str,
}

macro_rules! calls {
    ($prefix:literal: $($method:ident $path:literal,)+) => {
        &[$(Documented {
            method: Method::$method,
            path: $path,
            first: first($path),
            template: concat!($prefix, $path),
        },)+]
    };
}

/// In the order of their segments.
static OF_INSTANCE: &[Documented] = calls! { "/instances/{id}/token/{token}/":
    GET "accept-invite-group", POST "add-admin", POST "add-participant",
    POST "approve-participant", GET "business/available-categories", POST "business/categories",
    POST "business/company-address", POST "business/company-description",
    POST "business/company-email", POST "business/company-websites", POST "business/create-tag",
    POST "business/edit-tag/{tag}", POST "business/hours", GET "business/profile",
    DELETE "business/tag/{tag}", GET "business/tags/colors", GET "call-token", GET "catalogs",
    POST "catalogs", GET "catalogs/collection", POST "catalogs/collection",
    POST "catalogs/collection/add-product", POST "catalogs/collection/remove-product",
    DELETE "catalogs/collection/{collection}", POST "catalogs/collection-edit/{collection}",
    GET "catalogs/collection-products/{phone}", POST "catalogs/config", GET "catalogs/{phone}",
    POST "catalogs/{phone}", GET "chat-messages/{phone}", GET "chats", GET "chats/{phone}",
    POST "chats/{phone}/notes", PUT "chats/{phone}/tags/{tag}/add",
    PUT "chats/{phone}/tags/{tag}/remove", GET "communities", POST "communities",
    POST "communities/link", POST "communities/settings", POST "communities/unlink",
    DELETE "communities/{community}", GET "communities-metadata/{community}", GET "contacts",
    POST "contacts/add", POST "contacts/modify-blocked", DELETE "contacts/remove",
    GET "contacts/{phone}", POST "contacts/{phone}/report", POST "create-group",
    POST "create-newsletter", DELETE "delete-newsletter", GET "device", GET "disconnect",
    PUT "follow-newsletter", POST "forward-message", GET "group-invitation-link/{group}",
    GET "group-invitation-metadata", GET "group-metadata/{group}", GET "groups",
    POST "integrator/on-demand/cancel", POST "integrator/on-demand/subscription",
    PUT "integrator/subscription/update", POST "leave-group", GET "light-group-metadata/{group}",
    GET "me", DELETE "messages", POST "mobile/confirm-pin-code",
    POST "mobile/confirm-registration-code", POST "mobile/recovery-pin-code",
    POST "mobile/registration-available", POST "mobile/request-registration-code",
    POST "mobile/request-unbanning", POST "mobile/respond-captcha", POST "modify-chat",
    PUT "mute-newsletter", GET "newsletter", POST "newsletter/accept-admin-invite/{newsletter}",
    GET "newsletter/metadata/{newsletter}", POST "newsletter/remove-admin/{newsletter}",
    POST "newsletter/revoke-admin-invite/{newsletter}", POST "newsletter/settings/{newsletter}",
    POST "newsletter/transfer-ownership/{newsletter}", POST "order-payment-update",
    POST "order-status-update", GET "phone-code/{phone}", GET "phone-exists/{phone}",
    POST "phone-exists-batch", POST "pin-message", POST "products", DELETE "products/{product}",
    GET "products/{product}", PUT "profile-description", PUT "profile-name",
    GET "profile-picture", PUT "profile-picture", GET "qr-code", GET "qr-code/image",
    DELETE "queue", GET "queue", POST "queue", GET "queue/count", DELETE "queue/{message}",
    POST "read-message", POST "redefine-invitation-link/{group}", POST "reject-participant",
    POST "remove-admin", POST "remove-participant", POST "reply-status-gif",
    POST "reply-status-sticker", POST "reply-status-text", GET "restart", GET "restore-session",
    POST "search-newsletter", GET "security/email", POST "security/email",
    POST "security/email/remove", GET "security/two-fa-code", POST "security/two-fa-code",
    POST "security/two-fa-code/remove", POST "security/verify-email", POST "send-audio",
    POST "send-button-actions", POST "send-button-list", POST "send-button-otp",
    POST "send-button-pix", POST "send-call", POST "send-carousel", POST "send-catalog",
    POST "send-chat-expiration", POST "send-contact", POST "send-contacts",
    POST "send-document/{extension}", POST "send-edit-event", POST "send-event",
    POST "send-event-response", POST "send-gif", POST "send-image", POST "send-image-status",
    POST "send-link", POST "send-location", POST "send-newsletter-admin-invite",
    POST "send-option-list", POST "send-order", POST "send-poll", POST "send-poll-vote",
    POST "send-product", POST "send-ptv", POST "send-reaction", POST "send-remove-reaction",
    POST "send-sticker", POST "send-text", POST "send-text-status", POST "send-video",
    POST "send-video-status", GET "sip-info", POST "sip-token", GET "status", GET "tags",
    PUT "unfollow-newsletter", PUT "unmute-newsletter", PUT "update-auto-read-message",
    PUT "update-auto-read-status", PUT "update-call-reject-auto",
    PUT "update-call-reject-message", POST "update-community-description",
    POST "update-community-photo", PUT "update-every-webhooks", POST "update-group-description",
    POST "update-group-name", POST "update-group-photo", POST "update-group-settings",
    PUT "update-name", POST "update-newsletter-description", POST "update-newsletter-name",
    POST "update-newsletter-picture", PUT "update-notify-sent-by-me",
    PUT "update-webhook-chat-presence", PUT "update-webhook-connected",
    PUT "update-webhook-delivery", PUT "update-webhook-disconnected",
    PUT "update-webhook-message-status", PUT "update-webhook-received",
    PUT "update-webhook-received-delivery", PUT "update-webhook-status",
};

/// The calls of partners, which name no instance.
static OF_PARTNER: &[Documented] = calls! { "/":
    GET "instances", POST "instances/integrator/on-demand",
};

/// The template of a call, or [`OTHER`].
#[must_use]
pub fn find(method: &Method, path: &str) -> &'static str {
    let found = match split(path) {
        Some((_, _, below)) => search(OF_INSTANCE, method, segments(below)),
        None => search(OF_PARTNER, method, segments(path)),
    };
    found.map_or(OTHER, |call| call.template)
}

fn search<'path>(
    calls: &'static [Documented],
    method: &Method,
    path: impl Iterator<Item = &'path str> + Clone,
) -> Option<&'static Documented> {
    let first = path.clone().next()?;
    let begin = calls.partition_point(|call| call.first < first);
    let alike = calls.iter().skip(begin);
    let mut alike = alike.take_while(|call| call.first == first);
    alike.find(|call| call.method == *method && call.matches(path.clone()))
}

/// The first segment of a path.
const fn first(path: &str) -> &str {
    let mut end = 0;
    while end < path.len() && path.as_bytes()[end] != b'/' {
        end += 1;
    }
    path.split_at(end).0
}

impl Documented {
    fn matches<'path>(&self, mut path: impl Iterator<Item = &'path str>) -> bool {
        let mut words = segments(self.path);
        words.all(|word| {
            path.next()
                .is_some_and(|segment| segment == word || word.starts_with('{'))
        }) && path.next().is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BELOW: &str = "/instances/{id}/token/{token}/";

    #[test]
    fn each_call_is_found_by_its_method_and_path() {
        for call in OF_INSTANCE.iter().chain(OF_PARTNER) {
            let path = call.template.replace(['{', '}'], "");
            assert_eq!(find(&call.method, &path), call.template);
            assert_eq!(find(&Method::TRACE, &path), OTHER, "{path}");
        }
        let segments = |call: &Documented| call.path.split('/').collect::<Vec<_>>();
        assert!(OF_INSTANCE.is_sorted_by_key(segments));
    }

    #[test]
    fn a_literal_segment_goes_before_a_placeholder_and_slashes_may_be_doubled() {
        let post = |path: &str| find(&Method::POST, path).replace(BELOW, "");
        assert_eq!(post("/instances/I/token/T/catalogs/55"), "catalogs/{phone}");
        assert_eq!(
            post("/instances/I/token/T/catalogs/config"),
            "catalogs/config"
        );
        assert_eq!(post("//instances//I/token/T//send-text/"), "send-text");
    }

    #[test]
    fn what_a_client_made_up_is_other() {
        for path in [
            "/",
            "/send-text",
            "/instances/I",
            "/instances/I/token/T",
            "/instances/I/token/T/send-text/5544",
            "/instances/I/token/T/send-textual",
            "/instances/I/token/T/send-document",
            "/instances/I/token/T/5544",
            "/instances/I/token/T/zzz",
            "/instances/I/TOKEN/T/send-text",
        ] {
            assert_eq!(find(&Method::POST, path), OTHER, "{path}");
        }
    }
}
