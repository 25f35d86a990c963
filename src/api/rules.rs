//! What must hold between fields: the mirror of the CEL rules at the types, for objects that no API server
//! has seen, and for findings that name the field.

use super::{
    Finding, Isolation, KeyText, Limits, Period, ReindexSpec, Source, SyncTaskSpec, TlsMode, mapping_rules,
    transform_rules,
};

impl SyncTaskSpec {
    /// Everything that does not hold between the fields.
    pub fn validate(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        findings.extend(tls(&self.source));
        findings.extend(mapping_rules::findings(self));
        findings.extend(transform_rules::transforms(self));
        findings.extend(logins(self));
        findings.extend(index(&self.sink.elasticsearch.index));
        findings.extend(sink_tls(self));
        findings.extend(worker(self));
        let (second, hour) = (Period::seconds(1), Period::seconds(3_600));
        findings.extend(within("spec.stallTimeout", self.stall_timeout, second, Period::seconds(86_400)));
        let Limits { query_timeout, bulk_timeout, checkpoint_interval, .. } = self.limits;
        findings.extend(within("spec.limits.queryTimeout", query_timeout, second, hour));
        let ten_minutes = Period::seconds(600);
        findings.extend(within(
            "spec.limits.linger",
            self.limits.linger,
            Period::seconds(0),
            Period::seconds(10),
        ));
        findings.extend(within("spec.limits.bulkTimeout", bulk_timeout, second, ten_minutes));
        findings.extend(within("spec.limits.checkpointInterval", checkpoint_interval, second, ten_minutes));
        findings
    }
}

fn tls(source: &Source) -> Vec<Finding> {
    let Some(tls) = &source.tls else { return Vec::new() };
    let (mode, field) = (tls.mode, |name: &str| format!("spec.source.tls.{name}"));
    let mut findings = Vec::new();
    if tls.ca_secret_ref.is_some() && !matches!(mode, TlsMode::VerifyCa | TlsMode::VerifyIdentity) {
        let found = format!("a CA is given, but mode {mode:?} checks no certificate");
        let remedy = "use mode VerifyCa or VerifyIdentity, or remove caSecretRef";
        findings.push(Finding::new(field("caSecretRef"), found, remedy));
    }
    if tls.server_name.is_some() && mode != TlsMode::VerifyIdentity {
        let found = format!("a name is given, but mode {mode:?} checks none");
        findings.push(Finding::new(
            field("serverName"),
            found,
            "use mode VerifyIdentity, or remove serverName",
        ));
    }
    if tls.client_secret_ref.is_some() && mode == TlsMode::Disabled {
        let remedy = "use another mode, or remove clientSecretRef";
        findings.push(Finding::new(
            field("clientSecretRef"),
            "a certificate is given, but TLS is disabled",
            remedy,
        ));
    }
    findings
}

fn no_false(field: &str, value: Option<bool>) -> Option<Finding> {
    (value == Some(false)).then(|| Finding::new(field, "found false", "leave it out, or say true"))
}

fn logins(spec: &SyncTaskSpec) -> Vec<Finding> {
    let addresses = spec.sink.elasticsearch.addresses.iter().enumerate();
    let with_login = addresses.filter_map(|(i, address)| Some((i, address.rsplit_once('@')?.1)));
    let finding = |(i, host)| {
        Finding::new(
            format!("spec.sink.elasticsearch.addresses[{i}]"),
            format!("found a login: (hidden)@{host}"),
            "put the login into a Secret and name it in auth",
        )
    };
    with_login.map(finding).collect()
}

fn index(name: &str) -> Option<Finding> {
    let fits = regex::Regex::new(super::sink::INDEX).is_ok_and(|pattern| pattern.is_match(name));
    let remedy = "use lower case, no blanks and none of \\/*?\"<>|,#: and begin with a letter or digit";
    let refused = !fits && !name.is_empty(); // an empty one is too short, which is said elsewhere
    refused.then(|| Finding::new("spec.sink.elasticsearch.index", format!("found {name:?}"), remedy))
}

fn sink_tls(spec: &SyncTaskSpec) -> Vec<Finding> {
    let sink = &spec.sink.elasticsearch;
    let Some(tls) = &sink.tls else { return Vec::new() };
    let mut findings = Vec::new();
    for (i, address) in sink.addresses.iter().enumerate().filter(|(_, a)| !a.starts_with("https://")) {
        findings.push(Finding::new(
            format!("spec.sink.elasticsearch.addresses[{i}]"),
            format!("{address:?} does not use TLS, but tls is given"),
            "begin the address with https://, or remove tls",
        ));
    }
    if tls.ca_secret_ref.is_some() && tls.insecure_skip_verify {
        findings.push(Finding::new(
            "spec.sink.elasticsearch.tls",
            "a CA is given, but insecureSkipVerify accepts any certificate",
            "remove insecureSkipVerify, or caSecretRef",
        ));
    }
    findings
}

fn worker(spec: &SyncTaskSpec) -> Option<Finding> {
    let idle = spec.worker.is_some() && spec.isolation != Isolation::Dedicated;
    idle.then(|| {
        let remedy = "say isolation: Dedicated, or remove worker";
        Finding::new("spec.worker", "a pod is described, but the task runs in the operator", remedy)
    })
}

fn within(field: &str, value: Period, min: Period, max: Period) -> Option<Finding> {
    (value < min || value > max)
        .then(|| Finding::new(field, format!("found {value}"), format!("must be between {min} and {max}")))
}

impl ReindexSpec {
    /// Everything that does not hold between the fields.
    pub fn validate(&self) -> Vec<Finding> {
        let selection = &self.selection;
        let mut findings = Vec::new();
        findings.extend(no_false("spec.selection.deadLetters", selection.dead_letters));
        let given: Vec<_> = [
            ("range", selection.range.is_some()),
            ("where", selection.condition.is_some()),
            ("ids", selection.ids.is_some()),
            ("deadLetters", selection.dead_letters.is_some()),
        ]
        .into_iter()
        .filter_map(|(name, given)| given.then_some(name))
        .collect();
        if given.len() > 1 {
            findings.push(Finding::new(
                "spec.selection",
                format!("found {}", given.join(" and ")),
                "give one of range, where, ids and deadLetters, or nothing for everything",
            ));
        }
        findings.extend(self.range());
        findings
    }

    fn range(&self) -> Option<Finding> {
        let range = self.selection.range.as_ref()?;
        let (found, remedy) = match (&range.min, &range.max) {
            (None, None) => ("neither min nor max is given".to_owned(), "give min, max or both"),
            (Some(KeyText::Number(min)), Some(KeyText::Number(max))) if min >= max => (
                format!("found min {min} and max {max}"),
                "min must be below max (min is included, max is not)",
            ),
            _ => return None,
        };
        Some(Finding::new("spec.selection.range", found, remedy))
    }
}

#[cfg(test)]
#[path = "rules_tests.rs"]
pub(super) mod tests;
