//! Spellings of requests whose length is ambiguous, each with the expected verdict. One generator for
//! calls that go to Ryze and for those that go to the fallback.

/// The version, headers and body of a request.
pub struct Spelling {
    /// The last word of the first line.
    pub version: &'static str,
    /// Each with its line end, without the empty line after them.
    pub headers: String,
    pub body: String,
    pub verdict: Verdict,
}

/// How a request must be treated.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Verdict {
    /// It is answered, and so is the next request on its connection.
    Sound,
    /// It is answered, and nothing after it.
    Last,
    /// As `Last`, with an empty body.
    LastAndEmpty,
    /// It is refused, nothing after it is answered, and it does not reach an upstream.
    Unsound,
}
use Verdict::{Last, LastAndEmpty, Sound, Unsound};

/// Spellings of one `Transfer-Encoding`, apart from the header's own name.
const CODINGS: [(&str, Verdict); 34] = [
    (": chunked", Sound),
    (":chunked", Sound),
    (":  \t chunked \t ", Sound),
    (": CHUNKED", Sound),
    (": Chunked", Sound),
    ("", Unsound),
    (":", Unsound),
    (": ", Unsound),
    (" : chunked", Unsound),
    ("\t: chunked", Unsound),
    (": chunke", Unsound),
    (": xchunked", Unsound),
    (": chunkedx", Unsound),
    (": chunked chunked", Unsound),
    (": \"chunked\"", Unsound),
    (": 'chunked'", Unsound),
    (": chunked;a=b", Unsound),
    (": chunked,", Unsound),
    (": ,chunked", Unsound),
    (": chunked, chunked", Unsound),
    (": chunked, identity", Unsound),
    (": identity, chunked", Unsound),
    (": identity", Unsound),
    (": gzip, chunked", Unsound),
    (": chunked, gzip", Unsound),
    (": gzip", Unsound),
    (": \0chunked", Unsound),
    (": chunked\0", Unsound),
    (": \u{b}chunked", Unsound),
    (": \u{c}chunked", Unsound),
    (": chunked\u{7f}", Unsound),
    (": \rchunked", Unsound),
    (":\r\n chunked", Unsound),
    (": chunked\r\n , identity", Unsound),
];

/// Spellings of one `Content-Length` for a body of `N` bytes, apart from the header's own name.
const LENGTHS: [(&str, Verdict); 29] = [
    (": N", Sound),
    (":N", Sound),
    (":\tN\t ", Sound),
    (": 000N", Sound),
    (" : N", Unsound),
    ("\t: N", Unsound),
    ("", Unsound),
    (":", Unsound),
    (": ", Unsound),
    (": +N", Unsound),
    (": -N", Unsound),
    (": -1", Unsound),
    (": 0xN", Unsound),
    (": Nx", Unsound),
    (": N N", Unsound),
    (": N,N", Unsound),
    (": N, 0", Unsound),
    (": 0, N", Unsound),
    (": ,N", Unsound),
    (": N;", Unsound),
    (": N.0", Unsound),
    (": Ne0", Unsound),
    (": \"N\"", Unsound),
    (": N\0", Unsound),
    (": \u{b}N", Unsound),
    (": \r\n N", Unsound),
    (": 18446744073709551616", Unsound),
    (": 18446744073709551615", Unsound),
    (": 99999999999999999999999999", Unsound),
];

/// Names that a lenient parser may take for `Transfer-Encoding`, and whether they are valid names.
const NAMES: [(&str, Verdict); 12] = [
    ("Transfer_Encoding", Sound),
    ("TransferEncoding", Sound),
    ("Transfer-Encoding-", Sound),
    ("X-Transfer-Encoding", Sound),
    ("Transfer Encoding", Unsound),
    ("Transfer-\tEncoding", Unsound),
    (" Transfer-Encoding", Unsound),
    ("\tTransfer-Encoding", Unsound),
    ("Transfer-Encoding\0", Unsound),
    ("\0Transfer-Encoding", Unsound),
    ("Transfer-Encoding\u{e7}", Unsound),
    ("\rTransfer-Encoding", Unsound),
];

/// Chunked bodies of `D`, whose length is `H` in hexadecimal. Parsers differ about chunk extensions and
/// the end of trailers.
const CHUNKS: [(&str, Verdict); 39] = [
    ("H\r\nD\r\n0\r\n\r\n", Sound),
    ("0000H\r\nD\r\n000\r\n\r\n", Sound),
    ("H;a=b\r\nD\r\n0;c\r\n\r\n", Sound),
    ("H ;a=\"b;c\"\r\nD\r\n0\r\n\r\n", Sound),
    ("H\r\nD\r\n0\r\nX-Trailer: y\r\n\r\n", Last),
    ("H\r\nD\r\n0\r\nContent-Length: 5\r\n\r\n", Last),
    ("H\r\nD\r\n0\r\nTransfer-Encoding: gzip\r\n\r\n", Last),
    (
        "H\r\nD\r\n0\r\nHost: other\r\nClient-Token: x\r\n\r\n",
        Last,
    ),
    (" H\r\nD\r\n0\r\n\r\n", Unsound),
    ("\r\nH\r\nD\r\n0\r\n\r\n", Unsound),
    ("\r\n\r\n", Unsound),
    (";a\r\nD\r\n0\r\n\r\n", Unsound),
    ("+H\r\nD\r\n0\r\n\r\n", Unsound),
    ("-H\r\nD\r\n0\r\n\r\n", Unsound),
    ("0xH\r\nD\r\n0\r\n\r\n", Unsound),
    ("H.\r\nD\r\n0\r\n\r\n", Unsound),
    ("Hg\r\nD\r\n0\r\n\r\n", Unsound),
    ("H,H\r\nD\r\n0\r\n\r\n", Unsound),
    ("H\0\r\nD\r\n0\r\n\r\n", Unsound),
    ("H\nD\r\n0\r\n\r\n", Unsound),
    ("H\rD\r\n0\r\n\r\n", Unsound),
    ("H\r\rD\r\n0\r\n\r\n", Unsound),
    ("H\r\nD\n0\r\n\r\n", Unsound),
    ("H\r\nD\r0\r\n\r\n", Unsound),
    ("H\r\nD0\r\n\r\n", Unsound),
    ("H\r\nDx\r\n0\r\n\r\n", Unsound),
    ("H;a\nD\r\n0\r\n\r\n", Unsound),
    ("H;a\rD\r\n0\r\n\r\n", Unsound),
    ("H;\0\r\nD\r\n0\r\n\r\n", Sound),
    ("H\r\nD\r\n0\n\r\n", Unsound),
    ("H\r\nD\r\n0\r\n\n", Last),
    ("H\r\nD\r\n0\r\nX\r\n\r\n", Unsound),
    ("H\r\nD\r\n0\r\nX: y\n\r\n", Last),
    ("H\r\nD\r\n0\r\nX : y\r\n\r\n", Unsound),
    ("H\r\nD\r\n0\r\n X: y\r\n\r\n", Unsound),
    ("10000000000000000\r\nD\r\n0\r\n\r\n", Unsound),
    ("ffffffffffffffff\r\nD\r\n0\r\n\r\n", Unsound),
    ("fffffffffffffffff\r\nD\r\n0\r\n\r\n", Unsound),
    ("H\r\nD\r\n00x\r\n\r\n", Unsound),
];

/// All spellings, for a body of `data`. `hidden` is a request inside a body, which must not be read as a
/// request.
pub fn all(data: &str, hidden: &str) -> Vec<Spelling> {
    let chunks = |text: &str| {
        let text = text.replace("Host:", "host:");
        let text = text.replace('H', &format!("{:x}", data.len()));
        text.replace('D', data)
    };
    let spelling = |headers: String, body: String, verdict| Spelling {
        version: "HTTP/1.1",
        headers,
        body,
        verdict,
    };
    let chunked = chunks(CHUNKS[0].0);
    let length = |body: &str| format!("Content-Length: {}\r\n", body.len());
    let mut all = Vec::new();
    for (coding, verdict) in CODINGS {
        let header = format!("Transfer-Encoding{coding}\r\n");
        all.push(spelling(header.clone(), chunked.clone(), verdict));
        // With a length, a request is read by its chunks alone and is the last of its connection
        // (RFC 9112, 6.1).
        let (last, empty_last) = match verdict {
            Sound => (Last, LastAndEmpty),
            _ => (Unsound, Unsound),
        };
        // One reader ends with the chunks, the other behind the hidden request.
        let both = format!("{chunked}{hidden}");
        all.push(spelling(length(&both) + &header, both.clone(), last));
        all.push(spelling(header.clone() + &length(&both), both, last));
        // One reader ends at once, the other behind the hidden request.
        let empty = format!("0\r\n\r\n{hidden}");
        all.push(spelling(
            header.clone() + &length(&empty),
            empty.clone(),
            empty_last,
        ));
        all.push(spelling(length(&empty) + &header, empty, empty_last));
        // One reader ends behind the chunks, the other before them.
        let nothing = "Content-Length: 0\r\n";
        all.push(spelling(header.clone() + nothing, chunked.clone(), last));
        all.push(spelling(
            nothing.to_owned() + &header,
            chunked.clone(),
            last,
        ));
        all.push(spelling(
            format!("{header}{header}"),
            chunked.clone(),
            Unsound,
        ));
        let twice = format!("Transfer-Encoding: chunked\r\n{header}");
        all.push(spelling(twice, chunked.clone(), Unsound));
    }
    for (text, verdict) in LENGTHS {
        let header = format!(
            "Content-Length{}\r\n",
            text.replace('N', &data.len().to_string())
        );
        all.push(spelling(header.clone(), data.into(), verdict));
        let longer = format!("Content-Length: {}\r\n", data.len() + hidden.len());
        let body = format!("{data}{hidden}");
        all.push(spelling(header.clone() + &longer, body.clone(), Unsound));
        all.push(spelling(longer + &header, body, Unsound));
        // The same value twice is one value (RFC 9112, 6.3).
        all.push(spelling(length(data) + &header, data.into(), verdict));
    }
    for (name, verdict) in NAMES {
        let header = format!("{name}: chunked\r\n");
        all.push(spelling(length(data) + &header, data.into(), verdict));
        all.push(spelling(header + &length(data), data.into(), verdict));
    }
    for (text, verdict) in CHUNKS {
        let header = "Transfer-Encoding: chunked\r\n";
        all.push(spelling(header.into(), chunks(text), verdict));
    }
    // Ends of lines. A bare LF is one (RFC 9112, 2.2), a bare CR is not.
    for (end, verdict) in [
        ("\n", Sound),
        ("\r", Unsound),
        ("\r\r\n", Unsound),
        ("\n\r", Unsound),
    ] {
        let header = format!("Content-Length: {}{end}", data.len());
        all.push(spelling(header, data.into(), verdict));
        let header = format!("X: y{end}Transfer-Encoding: chunked\r\n");
        all.push(spelling(header.clone(), chunked.clone(), verdict));
        all.push(spelling(header + &length(data), data.into(), Unsound));
    }
    // A header that no spelling should hide.
    for name in [
        "X",
        ":",
        "X: \0",
        "X: \u{1}",
        "X: \u{7f}",
        "X\u{1}: y",
        "(X): y",
        "X\u{ff}: y",
    ] {
        all.push(spelling(
            format!("{name}\r\n{}", length(data)),
            data.into(),
            Unsound,
        ));
    }
    for (version, verdict) in [
        ("HTTP/1.0", Sound),
        ("HTTP/0.9", Unsound),
        ("HTTP/1.2", Unsound),
        ("HTTP/2.0", Unsound),
        ("HTTP/1.10", Unsound),
        ("http/1.1", Unsound),
        ("HTTP/1.1 ", Unsound),
        ("HTTP/1.1\t", Unsound),
        ("HTTP/1.1\0", Unsound),
        ("HTTP /1.1", Unsound),
        ("", Unsound),
    ] {
        let with_length = spelling(length(data), data.into(), verdict);
        let with_chunks = spelling(
            "Transfer-Encoding: chunked\r\n".into(),
            chunked.clone(),
            Unsound,
        );
        all.extend([with_length, with_chunks].map(|it| Spelling { version, ..it }));
    }
    all
}
