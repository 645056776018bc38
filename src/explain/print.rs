//! Writes an explanation as text.

use std::fmt::{self, Display, Formatter, Write as _};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, Request, Response,
    header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, DATE},
};

use super::{Explained, Explanation};

/// Headers of a response that are about the connection and not the call.
pub(super) const CONNECTION_HEADERS: [HeaderName; 3] = [CONNECTION, CONTENT_LENGTH, DATE];

const IN_TURN: &str = "
It has a list of contacts, which Ryze cannot change (policy.contacts_blacklist = \"fallback\"), and takes
its place among the calls of its instance: those that wait before it are over before it is sent, and those
that come later wait for its answer. It is sent alone, and once.
";
const SUCCESS_IN_BODY: &str = "
It is a success if the fallback says so: an answer with a status of success and without \"success\":true
becomes a 502 that says what came.
";

impl Display for Explained {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        write!(out, "{}\nWhy: {}.\n", self.explanation, self.why)
    }
}

impl Display for Explanation {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ryze {
                request,
                answer,
                requests_per_minute,
                drops_contacts,
            } => {
                let is_read = request.body().is_empty();
                out.write_str("Ryze answers it. It gets this request:\n\n")?;
                write_request(out, request)?;
                if *drops_contacts {
                    out.write_str(
                        "\nIts list of contacts is dropped (policy.contacts_blacklist = \
                         \"mode_only\"): no contact is added to the list or removed from it.\n",
                    )?;
                }
                writeln!(
                    out,
                    "\nCost: 1 of {requests_per_minute} requests a minute; {} of one instance that \
                     wait are coalesced into one.\n",
                    if is_read { "reads" } else { "changes" },
                )?;
                out.write_str(if is_read {
                    "Then the caller gets, with the settings as Ryze has them (these are an example):\n\n"
                } else {
                    "Once Ryze has confirmed it, the caller gets:\n\n"
                })?;
                write_answer(out, answer.as_ref())
            }
            Self::Fallback {
                request,
                in_turn,
                if_translated,
            } => {
                out.write_str("The fallback answers it. It gets this request:\n\n")?;
                write_request(out, request)?;
                if *in_turn {
                    out.write_str(IN_TURN)?;
                }
                out.write_str(
                    "\nCost: none of Ryze's budget.\n\nIts answer comes back as it is, with its \
                     status, headers and body.\n",
                )?;
                out.write_str(if *in_turn { SUCCESS_IN_BODY } else { "" })?;
                if let Some(translated) = if_translated {
                    out.write_str(
                        "\nIts instance has mode = \"observe\". With \"translate\":\n\n",
                    )?;
                    write!(out, "{translated}")?;
                }
                Ok(())
            }
            Self::Refused { answer } => {
                out.write_str("The gateway refuses it. The caller gets:\n\n")?;
                write_answer(out, answer.as_ref())?;
                let is_ours = |answer: &Response<_>| answer.headers().contains_key(CONTENT_TYPE);
                if answer.as_ref().is_some_and(|answer| !is_ours(answer)) {
                    out.write_str("\nThe head is not one of HTTP/1.1, or it is too long.\n")?;
                }
                out.write_str("\nCost: none.\n")
            }
        }
    }
}

fn write_request(out: &mut Formatter<'_>, request: &Request<Bytes>) -> fmt::Result {
    writeln!(out, "  {} {}", request.method(), request.uri())?;
    write_rest(out, request.headers(), &[], request.body())
}

fn write_answer(out: &mut Formatter<'_>, answer: Option<&Response<Bytes>>) -> fmt::Result {
    let Some(answer) = answer else {
        return out.write_str("  nothing; its connection is closed\n");
    };
    writeln!(out, "  {}", answer.status())?;
    write_rest(out, answer.headers(), &CONNECTION_HEADERS, answer.body())
}

fn write_rest(
    out: &mut Formatter<'_>,
    headers: &HeaderMap,
    omitted: &[HeaderName],
    body: &[u8],
) -> fmt::Result {
    for (name, value) in headers {
        if !omitted.contains(name) {
            let value = String::from_utf8_lossy(value.as_bytes());
            writeln!(out, "  {name}: {value}")?;
        }
    }
    if body.is_empty() {
        return Ok(());
    }
    let Ok(text) = str::from_utf8(body) else {
        return out.write_str("\n  (a body that is not text)\n");
    };
    out.write_char('\n')?;
    text.lines().try_for_each(|line| writeln!(out, "  {line}"))
}
