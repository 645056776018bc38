//! The questions on a terminal. A value that is not right is asked for again, with what is wrong.

use zeroize::Zeroizing;

use super::{
    answers::{Answers, Value, of_url},
    given::{Given, NONE, ZAPI},
    terminal::Terminal,
};
use crate::{
    cli::{Exit, print_error},
    config::{Fault, Mode, Secret},
};

/// Asks for all that is not given.
pub(super) async fn ask(mut given: Given, terminal: &Terminal) -> Result<Answers, Exit> {
    let vendors: [(_, &[Question]); 2] = [
        ("Z-API", &[ZAPI_INSTANCE, ZAPI_TOKEN, CLIENT_TOKEN]),
        ("Ryze", &[RYZE_INSTANCE, RYZE_TOKEN]),
    ];
    for (vendor, questions) in vendors {
        if questions.iter().any(|it| !given.has(it.value)) {
            print_error(format_args!("\n{vendor}"));
        }
        for question in questions {
            // An earlier answer may have been a URL with this value.
            if !given.has(question.value) {
                question.ask(&mut given, terminal).await?;
            }
        }
    }
    if !given.has(Value::Fallback) {
        print_error("\nCalls that Ryze does not have, such as messages, are passed on to Z-API.");
        FALLBACK.ask(&mut given, terminal).await?;
    }
    if given.mode.is_none() && given.default_mode() == Mode::Observe {
        given.mode = Some(mode(terminal).await?);
    }
    given.complete()
}

struct Question {
    value: Value,
    prompt: &'static str,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Plain,
    /// The answer may be the URL of a call.
    PlainOrUrl,
    /// The terminal does not show the answer.
    Secret,
    OptionalSecret,
    Url {
        default: &'static str,
    },
}

const ZAPI_INSTANCE: Question = Question {
    value: Value::ZapiInstance,
    prompt: "Id of the instance, or the URL of one of its calls",
    kind: Kind::PlainOrUrl,
};
const ZAPI_TOKEN: Question = Question {
    value: Value::ZapiToken,
    prompt: "Token of the instance (not shown)",
    kind: Kind::Secret,
};
const CLIENT_TOKEN: Question = Question {
    value: Value::ClientToken,
    prompt: "Client-Token of the account (not shown; Enter if your calls send none)",
    kind: Kind::OptionalSecret,
};
const RYZE_INSTANCE: Question = Question {
    value: Value::RyzeInstance,
    prompt: "Name of the instance",
    kind: Kind::Plain,
};
const RYZE_TOKEN: Question = Question {
    value: Value::RyzeToken,
    prompt: "Its token (not shown)",
    kind: Kind::Secret,
};
const FALLBACK: Question = Question {
    value: Value::Fallback,
    prompt: "URL of Z-API, or none [https://api.z-api.io]",
    kind: Kind::Url { default: ZAPI },
};

impl Question {
    /// Asks until the answer is right.
    async fn ask(&self, given: &mut Given, terminal: &Terminal) -> Result<(), Exit> {
        // The last answer, if it was doubtful.
        let mut doubted = None;
        loop {
            let answer = match self.kind {
                Kind::Secret | Kind::OptionalSecret => terminal.hidden_line(self.prompt).await?,
                _ => terminal.line(self.prompt).await?,
            };
            let url = of_url(answer.trim()).filter(|_| self.kind == Kind::PlainOrUrl);
            let typed = answer;
            let mut answer = typed.trim();
            if let Some((id, token)) = &url {
                if token.is_some() {
                    let shown = format!("…/instances/{}/token/********", id.escape_debug());
                    terminal.replace(self.prompt, typed.trim_end_matches('\n'), &shown);
                }
                if !use_url(terminal, id, token.is_some()).await? {
                    continue;
                }
                answer = id;
            }
            match (self.kind, answer) {
                (Kind::Url { .. }, NONE) | (Kind::OptionalSecret, "") => {
                    given.set(self.value, "");
                    return Ok(());
                }
                (Kind::Url { default }, "") => answer = default,
                _ => (),
            }
            if !is_accepted(answer, given.check(self.value, answer), &mut doubted) {
                continue;
            }
            if matches!(self.kind, Kind::Secret | Kind::OptionalSecret) {
                print_error(format_args!("    {} characters", answer.chars().count()));
            }
            given.set(self.value, answer);
            if let Some((_, Some(token))) = url {
                let token = Zeroizing::new(token);
                let is_right = given.check(Value::ZapiToken, &token);
                if !given.has(Value::ZapiToken) && is_accepted(&token, is_right, &mut None) {
                    given.set(Value::ZapiToken, &token);
                }
            }
            return Ok(());
        }
    }
}

/// Prints what is wrong with an answer. What is only doubtful is accepted the second time.
fn is_accepted(answer: &str, checked: Result<(), Fault>, doubted: &mut Option<Secret>) -> bool {
    let last = doubted.take();
    match checked {
        Ok(()) => return true,
        Err(Fault::Invalid(message)) => complain(&message),
        Err(Fault::Doubtful(_)) if last.is_some_and(|it| it.matches(answer.as_bytes())) => {
            return true;
        }
        Err(Fault::Doubtful(message)) => {
            complain(&format!("{message}. If it is right, write it again"));
            *doubted = Some(Secret::new(answer));
        }
    }
    false
}

async fn use_url(terminal: &Terminal, id: &str, has_token: bool) -> Result<bool, Exit> {
    let id = id.escape_debug();
    let token = if has_token { " and the token" } else { "" };
    yes(
        terminal,
        &format!("That is a URL. Use the id {id}{token} in it?"),
    )
    .await
}

async fn mode(terminal: &Terminal) -> Result<Mode, Exit> {
    print_error(
        "\nobserve: Z-API answers all calls as before; log and page show what Ryze would get.\n\
         translate: Ryze gets the privacy calls.",
    );
    loop {
        let answer = terminal.line("Mode [observe]").await?;
        match answer.trim() {
            "" | "o" | "observe" => return Ok(Mode::Observe),
            "t" | "translate" => return Ok(Mode::Translate),
            _ => complain("write observe or translate"),
        }
    }
}

/// Whether Ryze may be asked. The files are written: no answer is no.
pub(super) async fn is_live(terminal: &Terminal) -> bool {
    print_error("");
    let question =
        "Ask Ryze now whether token and name are right? It reads the settings and changes nothing.";
    yes(terminal, question).await.unwrap_or(false)
}

async fn yes(terminal: &Terminal, question: &str) -> Result<bool, Exit> {
    loop {
        let answer = terminal.line(&format!("{question} [Y/n]")).await?;
        match &*answer.trim().to_ascii_lowercase() {
            "" | "y" | "yes" | "s" | "sim" => return Ok(true),
            "n" | "no" | "não" | "nao" => return Ok(false),
            _ => complain("write y or n"),
        }
    }
}

fn complain(message: &str) {
    print_error(format_args!("  ✗ {message}"));
}
