//! Guardrails: what requests may not do, by the settings of the pool. They are looked at before anything is decided for a
//! request, so that a refusal is total. Where a pool has none, nothing asks for them.

use std::fmt;
use std::sync::Arc;

use crate::metrics::PoolMetric;
use crate::rate_limit::RateLimit;
use crate::settings::GuardrailSettings;
use crate::share::PoolPlan;
use crate::time::Time;

/// The guardrails of a plan.
#[derive(Debug, Default)]
pub(crate) struct Guardrails {
    rails: Box<[Guardrail]>,
    /// Those whose rate the last request counts for.
    taken: Vec<usize>,
}

#[derive(Debug)]
struct Guardrail {
    /// The beginning of its keys; `None` for all requests.
    prefix: Option<Box<str>>,
    /// Sorted.
    deny: Box<[Box<str>]>,
    max_value: Option<u64>,
    max_rate: Option<u32>,
    rate: Arc<RateLimit>,
}

/// What is asked of a request.
pub(crate) trait Guarded {
    /// The name of the command, as `container|subcommand` if it has one.
    fn command(&self) -> &str;

    /// Whether it names a key that begins so.
    fn has_key(&self, prefix: &[u8]) -> bool;

    /// Whether it has a value of more bytes.
    fn has_longer_value(&self, bytes: u64) -> bool;
}

/// Why a request is refused. It is shown as a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Forbidden {
    pub(crate) why: Why,
    command: Box<str>,
    prefix: Option<Box<str>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Why {
    /// Its command.
    Denied,
    /// A value of more bytes than this.
    Value(u64),
    /// More requests per second than this.
    Rate(u32),
}

impl Guardrails {
    pub(crate) fn new(plan: &PoolPlan) -> Self {
        let settings = plan.settings.guardrails.iter();
        let rails = settings.zip(plan.rates.iter().cloned());
        Self {
            rails: rails.map(|(it, rate)| Guardrail::new(it, rate)).collect(),
            taken: Vec::new(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rails.is_empty()
    }

    /// The next request comes, which may be one that no guardrail concerns.
    pub(crate) fn begin(&mut self) {
        self.taken.clear();
    }

    /// Counts it, or tells why it is refused; then it counts for nothing.
    pub(crate) fn check(&mut self, request: &impl Guarded, now: Time) -> Result<(), Forbidden> {
        for (number, rail) in self.rails.iter().enumerate() {
            if !rail.concerns(request) {
                continue;
            }
            if let Err(why) = rail.check(request, now) {
                let forbidden = Forbidden {
                    why,
                    command: request.command().replace('|', " ").into(),
                    prefix: rail.prefix.clone(),
                };
                self.give_back();
                return Err(forbidden);
            }
            if rail.max_rate.is_some() {
                self.taken.push(number);
            }
        }
        Ok(())
    }

    /// The last request is put back, and will be checked again.
    pub(crate) fn give_back(&mut self) {
        for number in self.taken.drain(..) {
            let rail = &self.rails[number];
            rail.max_rate
                .into_iter()
                .for_each(|rate| rail.rate.give_back(rate));
        }
    }
}

impl Guardrail {
    fn new(settings: &GuardrailSettings, rate: Arc<RateLimit>) -> Self {
        let mut deny = settings.deny.clone();
        deny.sort_unstable();
        Self {
            prefix: settings.prefix.clone(),
            deny: deny.into(),
            max_value: settings.max_value,
            max_rate: settings.max_rate,
            rate,
        }
    }

    fn concerns(&self, request: &impl Guarded) -> bool {
        let prefix = self.prefix.as_deref();
        prefix.is_none_or(|prefix| request.has_key(prefix.as_bytes()))
    }

    fn check(&self, request: &impl Guarded, now: Time) -> Result<(), Why> {
        if self.denies(request.command()) {
            return Err(Why::Denied);
        }
        let is_too_large = |bytes: &u64| request.has_longer_value(*bytes);
        if let Some(bytes) = self.max_value.filter(is_too_large) {
            return Err(Why::Value(bytes));
        }
        match self.max_rate.filter(|rate| !self.rate.take(*rate, now)) {
            Some(rate) => Err(Why::Rate(rate)),
            None => Ok(()),
        }
    }

    /// Whether the command is denied, or the container that it is in.
    fn denies(&self, command: &str) -> bool {
        let is_there = |name: &str| self.deny.binary_search_by(|it| (**it).cmp(name)).is_ok();
        let container = command.split_once('|').map(|(container, _)| container);
        is_there(command) || container.is_some_and(is_there)
    }
}

impl Why {
    /// What it counts for.
    pub(crate) fn metric(self) -> PoolMetric {
        match self {
            Why::Denied => PoolMetric::GuardDenied,
            Why::Value(_) => PoolMetric::GuardValue,
            Why::Rate(_) => PoolMetric::GuardRate,
        }
    }
}

impl fmt::Display for Forbidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let command = &self.command;
        match self.why {
            Why::Denied => write!(f, "'{command}' is denied")?,
            Why::Value(bytes) => write!(f, "'{command}' has a value of more than {bytes} bytes")?,
            Why::Rate(rate) => write!(f, "more than {rate} requests per second")?,
        }
        if let Some(prefix) = &self.prefix {
            let prefix = prefix.as_bytes().escape_ascii();
            write!(f, " for keys that begin with '{prefix}'")?;
        }
        f.write_str(" (guardrails)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::MAX_GUARDRAILS;

    struct Asked<'a> {
        command: &'a str,
        keys: &'a [&'a str],
        value: u64,
    }

    impl Guarded for Asked<'_> {
        fn command(&self) -> &str {
            self.command
        }

        fn has_key(&self, prefix: &[u8]) -> bool {
            self.keys
                .iter()
                .any(|key| key.as_bytes().starts_with(prefix))
        }

        fn has_longer_value(&self, bytes: u64) -> bool {
            self.value > bytes
        }
    }

    fn rail(prefix: Option<&str>) -> GuardrailSettings {
        GuardrailSettings {
            prefix: prefix.map(Into::into),
            ..GuardrailSettings::default()
        }
    }

    fn guardrails(settings: &[GuardrailSettings]) -> Guardrails {
        assert!(settings.len() <= MAX_GUARDRAILS);
        let rails = settings
            .iter()
            .map(|it| Guardrail::new(it, Arc::default()))
            .collect();
        Guardrails {
            rails,
            taken: Vec::new(),
        }
    }

    fn check(
        rails: &mut Guardrails,
        command: &str,
        keys: &[&str],
        value: u64,
    ) -> Result<(), String> {
        let asked = Asked {
            command,
            keys,
            value,
        };
        let now = Time::from_micros(1_000_000);
        rails.begin();
        rails.check(&asked, now).map_err(|it| it.to_string())
    }

    #[test]
    fn a_command_is_denied_by_its_name_or_that_of_its_container() {
        let whole = GuardrailSettings {
            deny: ["keys", "config", "client|kill"].map(Into::into).to_vec(),
            ..rail(None)
        };
        let mut rails = guardrails(&[whole]);
        for denied in ["keys", "config", "config|get", "client|kill"] {
            let error = check(&mut rails, denied, &[], 0).expect_err(denied);
            let name = denied.replace('|', " ");
            assert_eq!(error, format!("'{name}' is denied (guardrails)"));
        }
        for served in ["key", "keyss", "client", "client|list", "get"] {
            assert_eq!(check(&mut rails, served, &[], 0), Ok(()), "{served}");
        }
    }

    #[test]
    fn one_key_with_the_prefix_is_enough() {
        let user = GuardrailSettings {
            deny: vec!["del".into()],
            max_value: Some(10),
            ..rail(Some("user:\n"))
        };
        let mut rails = guardrails(&[user]);
        assert_eq!(check(&mut rails, "del", &["other", "user:"], 99), Ok(()));
        assert_eq!(
            check(&mut rails, "del", &["other", "user:\n1"], 0),
            Err(r"'del' is denied for keys that begin with 'user:\n' (guardrails)".into())
        );
        assert_eq!(check(&mut rails, "set", &["user:\n1"], 10), Ok(()));
        assert_eq!(
            check(&mut rails, "set", &["user:\n1"], 11),
            Err(r"'set' has a value of more than 10 bytes for keys that begin with 'user:\n' (guardrails)".into())
        );
    }

    #[test]
    fn a_refused_request_counts_for_no_rate() {
        let slow = |prefix, max_rate| GuardrailSettings {
            max_rate: Some(max_rate),
            ..rail(prefix)
        };
        let mut rails = guardrails(&[slow(None, 3), slow(Some("a"), 1)]);
        assert_eq!(check(&mut rails, "get", &["a"], 0), Ok(()));
        let error = "more than 1 requests per second for keys that begin with 'a' (guardrails)";
        for _ in 0..5 {
            assert_eq!(check(&mut rails, "get", &["a"], 0), Err(error.into()));
        }
        assert_eq!(check(&mut rails, "get", &["b"], 0), Ok(()));
        assert_eq!(check(&mut rails, "get", &["b"], 0), Ok(()));
        let error = "more than 3 requests per second (guardrails)";
        assert_eq!(check(&mut rails, "get", &["b"], 0), Err(error.into()));
        // One that is put back counts once.
        rails.give_back();
        assert_eq!(check(&mut rails, "get", &["b"], 0), Err(error.into()));
    }

    #[test]
    fn one_that_is_put_back_is_taken_again() {
        let slow = GuardrailSettings {
            max_rate: Some(1),
            ..rail(None)
        };
        let mut rails = guardrails(&[slow]);
        for _ in 0..3 {
            assert_eq!(check(&mut rails, "get", &[], 0), Ok(()));
            rails.give_back();
        }
        assert_eq!(check(&mut rails, "get", &[], 0), Ok(()));
        assert!(check(&mut rails, "get", &[], 0).is_err());
    }

    #[test]
    fn one_that_no_guardrail_concerns_gives_nothing_back() {
        let slow = GuardrailSettings {
            max_rate: Some(1),
            ..rail(None)
        };
        let mut rails = guardrails(&[slow]);
        assert_eq!(check(&mut rails, "get", &[], 0), Ok(()));
        // One that is never refused, and is put back.
        rails.begin();
        rails.give_back();
        assert!(check(&mut rails, "get", &[], 0).is_err());
    }
}
