//! The requests of a Postman collection (format 2.1), with the variables of the collection and of an
//! environment. Scripts are not run, and `auth` sets no header that the gateway reads.

use std::collections::HashMap;

use serde::Deserialize;

use super::{Recorded, Typed};

/// How often variables in the values of variables are replaced.
const MAX_NESTING: usize = 4;
const NO_VARIABLE: &str = "it has a variable that neither the collection nor the environment sets";

#[derive(Deserialize)]
pub(super) struct Collection {
    item: Vec<Item>,
    #[serde(default)]
    variable: Vec<Variable>,
}

/// An environment, as Postman exports it.
#[derive(Deserialize)]
pub(super) struct Environment {
    values: Vec<Variable>,
}

/// A folder, or a request.
#[derive(Deserialize)]
struct Item {
    #[serde(default)]
    item: Vec<Item>,
    request: Option<Request>,
}

/// Also a header or a field of a form.
#[derive(Deserialize)]
struct Variable {
    key: Option<String>,
    value: Option<serde_json::Value>,
    #[serde(default)]
    disabled: bool,
    enabled: Option<bool>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Request {
    Url(String),
    Whole(Box<Whole>),
}

#[derive(Deserialize)]
struct Whole {
    method: Option<String>,
    url: Option<Url>,
    header: Option<Headers>,
    body: Option<Body>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Url {
    Raw(String),
    Parts {
        raw: String,
        /// Of segments such as `:phone`.
        #[serde(default)]
        variable: Vec<Variable>,
    },
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Headers {
    List(Vec<Variable>),
    /// Older collections have them as text.
    Text(String),
}

#[derive(Deserialize)]
struct Body {
    mode: Option<String>,
    raw: Option<String>,
    #[serde(default)]
    urlencoded: Vec<Variable>,
    options: Option<Options>,
    #[serde(default)]
    disabled: bool,
}

#[derive(Deserialize)]
struct Options {
    raw: Option<Raw>,
}

#[derive(Deserialize)]
struct Raw {
    language: Option<String>,
}

pub(super) fn read(collection: Collection, environment: Option<Environment>) -> Vec<Recorded> {
    let environment = environment.map(|it| it.values).unwrap_or_default();
    let variables = collection.variable.into_iter().chain(environment);
    let variables = Variables(variables.filter_map(Variable::pair).collect());
    let mut requests = Vec::new();
    let mut items = collection.item;
    items.reverse();
    while let Some(mut item) = items.pop() {
        requests.extend(item.request.take().map(|request| variables.typed(request)));
        items.extend(item.item.into_iter().rev());
    }
    requests
}

impl Variable {
    fn pair(self) -> Option<(String, String)> {
        let value = match self.value? {
            serde_json::Value::String(text) => text,
            value => value.to_string(),
        };
        let is_set = !self.disabled && self.enabled != Some(false);
        self.key.filter(|_| is_set).map(|key| (key, value))
    }
}

struct Variables(HashMap<String, String>);

impl Variables {
    fn typed(&self, request: Request) -> Recorded {
        let request = match request {
            Request::Whole(request) => *request,
            Request::Url(url) => Whole {
                method: None,
                url: Some(Url::Raw(url)),
                header: None,
                body: None,
            },
        };
        let mut headers: Vec<_> = match request.header {
            Some(Headers::List(headers)) => {
                let headers = headers.into_iter().filter_map(Variable::pair);
                headers
                    .map(|(name, value)| format!("{name}: {value}"))
                    .collect()
            }
            Some(Headers::Text(text)) => text.lines().map(str::to_owned).collect(),
            None => Vec::new(),
        };
        for header in &mut headers {
            *header = self.replace(header)?;
        }
        let (url, in_path) = match request.url {
            Some(Url::Raw(raw)) => (raw, Vec::new()),
            Some(Url::Parts { raw, variable }) => (raw, variable),
            None => return Err("it has no URL"),
        };
        let mut target = self.replace(&url)?;
        for (name, value) in in_path.into_iter().filter_map(Variable::pair) {
            let value = self.replace(&value)?;
            let segments = target.split('/');
            let segments = segments.map(|it| match it.strip_prefix(':') {
                Some(placeholder) if placeholder == name => value.as_str(),
                _ => it,
            });
            target = segments.collect::<Vec<_>>().join("/");
        }
        if !target.starts_with('/') && !target.contains("://") {
            target.insert_str(0, "http://");
        }
        let body = request
            .body
            .filter(|body| !body.disabled)
            .and_then(Body::content);
        let body = match body {
            Some((text, content_type)) => Some((self.replace(&text)?, content_type)),
            None => None,
        };
        let is_type = |header: &String| {
            header
                .split(':')
                .next()
                .is_some_and(|name| name.eq_ignore_ascii_case("content-type"))
        };
        if let Some((_, content_type)) = &body
            && !headers.iter().any(is_type)
        {
            headers.push(format!("content-type: {content_type}"));
        }
        Ok(Typed {
            method: request.method.unwrap_or_else(|| "GET".to_owned()),
            target,
            headers,
            body: body.map(|(text, _)| text),
        })
    }

    /// Replaces each `{{name}}`.
    fn replace(&self, text: &str) -> Result<String, &'static str> {
        let mut text = text.to_owned();
        for _ in 0..MAX_NESTING {
            if !text.contains("{{") {
                return Ok(text);
            }
            let mut replaced = String::with_capacity(text.len());
            let mut rest = text.as_str();
            while let Some((before, after)) = rest.split_once("{{") {
                let (name, after) = after.split_once("}}").ok_or(NO_VARIABLE)?;
                replaced += before;
                replaced += self.0.get(name.trim()).ok_or(NO_VARIABLE)?;
                rest = after;
            }
            replaced += rest;
            text = replaced;
        }
        Err(NO_VARIABLE)
    }
}

impl Body {
    /// The body and the content type that Postman sends with it.
    fn content(self) -> Option<(String, &'static str)> {
        let language = self.options.and_then(|it| it.raw?.language);
        match self.mode.as_deref()? {
            "raw" => {
                let is_json = language.as_deref() == Some("json");
                let content_type = if is_json {
                    "application/json"
                } else {
                    "text/plain"
                };
                Some((self.raw.unwrap_or_default(), content_type))
            }
            "urlencoded" => {
                let mut form = form_urlencoded::Serializer::new(String::new());
                form.extend_pairs(self.urlencoded.into_iter().filter_map(Variable::pair));
                Some((form.finish(), "application/x-www-form-urlencoded"))
            }
            "formdata" => Some((String::new(), "multipart/form-data")),
            _ => Some((String::new(), "application/octet-stream")),
        }
    }
}
