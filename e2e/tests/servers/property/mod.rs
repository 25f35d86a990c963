//! Random schemas, queries and changes against a real server: whatever the mapping accepts, it must call every id
//! dirty whose document changed, and a batch must give what its ids give alone.
//!
//! `PROPERTY_CASES` is how many queries are tried, `PROPERTY_SEED` the first seed. A failure names its seed:
//! `PROPERTY_SEED=n PROPERTY_CASES=1` shows it again, unless its rows come from seeds before it: those of one schema
//! begin with a multiple of 6. `PROPERTY_REFUSALS=1` prints what is refused.

mod changes;
mod queries;
mod schema;
mod tail;
mod trial;

use e2e::{MysqlOptions, MysqlServer};
use trial::Tally;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |text| text.parse().unwrap())
}

#[tokio::test]
async fn no_changed_id_is_missed() {
    let (cases, first) = (number("PROPERTY_CASES", 300), number("PROPERTY_SEED", 1));
    let options = MysqlOptions { full_metadata: true, ..MysqlOptions::default() }
        .flag("--innodb-flush-log-at-trx-commit=0")
        .flag("--innodb-stats-auto-recalc=OFF") // a plan that changes between two reads changes what MIN of ties gives
        .flag("--sync-binlog=0");
    let server = MysqlServer::start(options).await;
    let mut tally = Tally::default();
    let mut bench = trial::Bench::new(&server).await;
    for seed in first..first + cases {
        bench.run(seed, &mut tally).await;
    }
    println!("{tally}");
    assert!(tally.failures.is_empty(), "{} failures:\n{}", tally.failures.len(), tally.failures.join("\n\n"));
    if cases >= 100 {
        assert!(tally.accepted * 2 >= cases, "too few queries were accepted to say anything: {tally}");
        assert!(tally.changed >= cases, "too few documents changed to say anything: {tally}");
    }
}
