//! Which target each instance of a configuration has. One that was there before stays the same, with
//! another token if the operator rotated it, so that its calls stay in one lane. Pure but for the
//! tokens' digests.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use super::Instance;
use crate::{
    config::Config,
    ryze::{Credentials, Target, digest_of},
};

/// The targets.
pub(super) struct Targets {
    /// In the order of the configuration.
    pub(super) of_instances: Vec<Arc<Target>>,
    /// Tokens that targets get when the configuration is in force.
    pub(super) renewals: Vec<(Arc<Target>, Credentials)>,
}

/// Name and token: instances with the same are one account at the upstream.
type Account<'c> = (&'c str, [u8; 32]);

impl Targets {
    /// Those of a configuration, given the instances before and whatever targets are in use.
    ///
    /// # Errors
    /// An instance's name or token cannot stand in a request.
    pub(super) fn new(
        config: &Config,
        before: &[Instance],
        in_use: &[Arc<Target>],
    ) -> Result<Self, http::Error> {
        let known = before.iter().map(|instance| &instance.target).chain(in_use);
        let mut by_account: HashMap<Account<'_>, Arc<Target>> = known
            .map(|target| ((target.name(), target.token_digest()), Arc::clone(target)))
            .collect();
        let by_id: HashMap<_, _> = before.iter().map(|it| (it.id.as_str(), it)).collect();
        let accounts = config.instances.iter().map(|instance| {
            let name = instance.ryze_instance.as_str();
            (name, digest_of(&instance.ryze_token))
        });
        let accounts: Vec<Account<'_>> = accounts.collect();
        let mut claimed: HashSet<_> = accounts.iter().copied().collect();
        let mut targets = Self {
            of_instances: Vec::with_capacity(accounts.len()),
            renewals: Vec::new(),
        };
        for (instance, account) in config.instances.iter().zip(accounts) {
            if let Some(target) = by_account.get(&account) {
                targets.of_instances.push(Arc::clone(target));
                continue;
            }
            let rotated = by_id.get(instance.zapi_instance.as_str());
            let rotated = rotated.map(|before| &before.target).filter(|target| {
                target.name() == account.0 && claimed.insert((target.name(), target.token_digest()))
            });
            let target = match rotated {
                Some(target) => {
                    let credentials = target.credentials_with(&instance.ryze_token)?;
                    targets.renewals.push((Arc::clone(target), credentials));
                    Arc::clone(target)
                }
                None => {
                    let base_url = &config.ryze.base_url;
                    Arc::new(Target::new(base_url, account.0, &instance.ryze_token)?)
                }
            };
            by_account.insert(account, Arc::clone(&target));
            targets.of_instances.push(target);
        }
        Ok(targets)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::{config, gateway::Rules, network::Network};

    /// Instances, each with its id, its name and its token.
    fn configuration(instances: &[[&str; 3]]) -> Config {
        let mut text = String::new();
        for [id, name, token] in instances {
            text += &format!(
                "[[instances]]\nzapi_instance = {id:?}\nzapi_token = \"t\"\n\
                 ryze_instance = {name:?}\nryze_token = {token:?}\n"
            );
        }
        config::parse(&text, &|_| None).unwrap().config
    }

    fn after(before: &[[&str; 3]], instances: &[[&str; 3]]) -> (Vec<Arc<Target>>, Targets) {
        let rules = Rules::<Network>::new(&configuration(before), None).unwrap();
        let before = rules.instances().iter().map(|it| Arc::clone(it.target()));
        let targets = Targets::new(&configuration(instances), rules.instances(), &[]).unwrap();
        (before.collect(), targets)
    }

    #[test]
    fn ids_of_one_account_share_a_target_and_another_token_or_name_does_not() {
        let instances = [
            ["1", "a", "x"],
            ["2", "a", "x"],
            ["3", "a", "y"],
            ["4", "b", "x"],
        ];
        let (_, targets) = after(&[["9", "z", "z"]], &instances);
        let [one, two, three, four] = &targets.of_instances[..] else {
            unreachable!();
        };
        assert_eq!(one, two);
        assert!(one != three && one != four);
        assert!(targets.renewals.is_empty());
    }

    #[test]
    fn an_instance_stays_the_same_with_another_token_or_another_id() {
        let (before, targets) = after(&[["1", "a", "x"]], &[["1", "a", "y"]]);
        assert_eq!(targets.of_instances, before);
        let (target, credentials) = &targets.renewals[0];
        assert_eq!(target.token_digest(), digest_of(&config::Secret::new("x")));
        assert_eq!(credentials.token.expose(), "y");
        let (before, targets) = after(&[["1", "a", "x"]], &[["2", "a", "x"]]);
        assert_eq!(targets.of_instances, before);
        let (before, targets) = after(&[["1", "a", "x"]], &[["1", "b", "x"]]);
        assert_ne!(targets.of_instances, before);
    }

    #[test]
    fn a_token_that_another_instance_still_has_is_not_taken_from_it() {
        let both = [["1", "a", "x"], ["2", "a", "x"]];
        let (before, targets) = after(&both, &[["1", "a", "y"], ["2", "a", "x"]]);
        assert_ne!(targets.of_instances[0], before[0]);
        assert_eq!(targets.of_instances[1], before[1]);
        assert!(targets.renewals.is_empty());
        let (before, targets) = after(&both, &[["1", "a", "y"], ["2", "a", "y"]]);
        assert_eq!(targets.of_instances, before, "both have the new one");
        assert_eq!(targets.renewals.len(), 1);
    }

    #[test]
    fn a_target_that_is_in_use_is_found_again() {
        let rules = Rules::<Network>::new(&configuration(&[["1", "a", "x"]]), None).unwrap();
        let in_use = [Arc::clone(rules.instances()[0].target())];
        let again = Targets::new(&configuration(&[["1", "a", "x"]]), &[], &in_use).unwrap();
        assert_eq!(again.of_instances, in_use);
    }
}
