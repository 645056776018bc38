//! The token of each request. A reload may replace an instance's token, its entry in the configuration,
//! or both, while calls are queued; the token is looked up when their request is sent.

use std::sync::Arc;

use crate::{configured_map::ConfiguredMap, ryze::Target};

/// The configured targets, by the instance's name.
#[derive(Debug, Default)]
pub(super) struct Directory(ConfiguredMap<Arc<str>, Vec<Arc<Target>>>);

impl Directory {
    pub(super) fn new(targets: &[Arc<Target>]) -> Self {
        let mut directory = Self::default();
        for target in targets {
            let of_name = directory.0.entry(Arc::clone(target.name())).or_default();
            of_name.push(Arc::clone(target));
        }
        directory
    }

    /// The target that a call which arrived with `target` is sent to now: that of its entry or, if the
    /// entry was removed, the only token that other entries have for the instance. If there is none or
    /// more than one, the call keeps its own.
    pub(super) fn current<'t>(&'t self, target: &'t Arc<Target>) -> &'t Arc<Target> {
        let Some(configured) = self.0.get(target.name()) else {
            return target;
        };
        let same_entry = |it: &&Arc<Target>| it.entry() == target.entry();
        if let Some(same) = configured.iter().find(same_entry) {
            return same;
        }
        match &configured[..] {
            [first, others @ ..] if others.iter().all(|it| has_same_token(it, first)) => first,
            _ => target,
        }
    }

    /// Whether the instance is configured, but none of its entries has this token any more.
    pub(super) fn is_replaced(&self, target: &Target) -> bool {
        let configured = self.0.get(target.name());
        configured.is_some_and(|all| !all.iter().any(|it| has_same_token(it, target)))
    }

    pub(super) fn has_name(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }
}

/// Whether requests for two targets of one instance may be one request.
pub(super) fn has_same_token(one: &Target, other: &Target) -> bool {
    one.token_digest() == other.token_digest()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::config::Secret;

    fn target([entry, name, token]: [&str; 3]) -> Arc<Target> {
        let base_url = "http://ryze.test".parse().unwrap();
        Arc::new(Target::new(&base_url, entry, name, &Secret::new(token)).unwrap())
    }

    #[test]
    fn a_call_is_sent_with_the_token_of_its_entry_or_the_only_one_of_its_instance() {
        let arrived_with = ["1", "a", "old"];
        let none: &[[&str; 3]] = &[];
        for (configured, token, is_replaced) in [
            (none, "old", false),
            (&[["1", "a", "new"]], "new", true),
            (&[["2", "a", "other"], ["1", "a", "new"]], "new", true),
            (&[["1", "a", "new"], ["2", "a", "old"]], "new", false),
            // The entry was removed, or names another instance.
            (&[["2", "a", "new"]], "new", true),
            (&[["1", "b", "new"]], "old", false),
            (&[["1", "b", "new"], ["2", "a", "newer"]], "newer", true),
            (&[["2", "a", "new"], ["3", "a", "new"]], "new", true),
            (&[["2", "a", "new"], ["3", "a", "newer"]], "old", true),
        ] {
            let all: Vec<_> = configured.iter().copied().map(target).collect();
            let directory = Directory::new(&all);
            let expected = target(["", "a", token]);
            let arrived_with = target(arrived_with);
            let current = directory.current(&arrived_with);
            assert!(has_same_token(current, &expected), "{configured:?}");
            assert_eq!(directory.is_replaced(&arrived_with), is_replaced);
        }
    }
}
