//! Prometheus' text format, as far as tests need it.

use std::collections::BTreeMap;

/// Samples by name and labels, as written: `binlog_operator_lag_seconds{task="orders"}`.
#[derive(Clone, Debug, Default)]
pub struct Metrics(BTreeMap<String, f64>);

impl Metrics {
    /// Reads the text of `/metrics`.
    pub fn parse(text: &str) -> Self {
        let samples = text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
            let (key, value) = line.trim().rsplit_once(' ')?;
            Some((key.to_owned(), value.parse().ok()?))
        });
        Self(samples.collect())
    }

    /// One sample, by its exact name and labels.
    pub fn get(&self, key: &str) -> Option<f64> {
        self.0.get(key).copied()
    }

    /// The sum of all samples of that name which carry all these labels (`task="orders"`); `None` without any.
    pub fn sum(&self, name: &str, labels: &[&str]) -> Option<f64> {
        let of_name = |key: &str| key.split('{').next() == Some(name);
        let matching = self.0.iter().filter(|(key, _)| of_name(key));
        let values: Vec<f64> = matching
            .filter(|(key, _)| labels.iter().all(|label| key.contains(label)))
            .map(|(_, value)| *value)
            .collect();
        (!values.is_empty()).then(|| values.iter().sum())
    }

    /// All samples.
    pub fn samples(&self) -> impl Iterator<Item = (&str, f64)> {
        self.0.iter().map(|(key, value)| (key.as_str(), *value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_found_by_name_and_label() {
        let text = "# HELP a b\na{t=\"x\",r=\"1\"} 2\na{t=\"x\",r=\"2\"} 3\na{t=\"y\"} 5\nab 7\n";
        let metrics = Metrics::parse(text);
        assert_eq!(metrics.sum("a", &["t=\"x\""]), Some(5.0));
        assert_eq!(metrics.sum("a", &[]), Some(10.0));
        assert_eq!(metrics.get("ab"), Some(7.0));
        assert_eq!(metrics.sum("b", &[]), None);
    }
}
