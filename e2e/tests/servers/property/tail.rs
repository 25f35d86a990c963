//! The server's binlog, read on and on: what its rows touch.

use std::time::Duration;

use binlog_operator::binlog::{Body, Decoder, Image, RowsEvent, Stream, StreamOptions, StreamStart};
use binlog_operator::mapping::{Plan, Touched};
use binlog_operator::model::Value;
use e2e::MysqlServer;
use e2e::stage::PATIENCE;
use tokio::time::timeout;

/// A stream that goes on behind all that was asked for.
pub struct Tail {
    stream: Stream,
    decoder: Decoder,
}

impl Tail {
    /// A stream from now on.
    pub async fn new(server: &MysqlServer) -> Self {
        let (.., executed) = server.position().await;
        let start = StreamStart::Gtids(executed.replace('\n', "").parse().unwrap());
        let mut options = StreamOptions::new(4_000_000);
        options.heartbeat = Duration::from_secs(1);
        options.connect_timeout = PATIENCE;
        options.silence = Some(PATIENCE);
        Self {
            stream: Stream::open(&server.login(), &start, options).await.unwrap(),
            decoder: Decoder::new(),
        }
    }

    /// What all rows up to this position touch.
    pub async fn touched(&mut self, plan: Option<&Plan>, until: &(String, u64)) -> Touched {
        let mut touched = Touched::default();
        loop {
            let raw = timeout(PATIENCE, self.stream.next_raw()).await.unwrap().unwrap();
            self.decoder.push(raw);
            let mut reached = false;
            while let Some(event) = self.decoder.next().unwrap() {
                if let (Body::Rows(rows), Some(plan)) = (&event.body, plan) {
                    rows_touch(plan, rows, &mut touched);
                }
                reached |= *event.position.file == *until.0 && event.position.end >= until.1;
            }
            if reached {
                return touched;
            }
        }
    }
}

fn rows_touch(plan: &Plan, event: &RowsEvent<'_>, touched: &mut Touched) {
    let Some(table) = plan.table(&event.table.name) else { return };
    let bound = table.bind(&event.table.columns).unwrap();
    let mut rows = event.rows();
    while let Some(row) = rows.next().unwrap() {
        let before = row.before.as_ref().map(|image| values(image, bound.wanted()));
        let after = row.after.as_ref().map(|image| values(image, bound.wanted()));
        bound.touch(before.as_deref(), after.as_deref(), touched).unwrap();
    }
}

fn values<'r>(image: &Image<'r>, wanted: &[usize]) -> Vec<Value<'r>> {
    let mut values = Vec::new();
    image.read(wanted, &mut values).unwrap();
    values
}
