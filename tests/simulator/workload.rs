//! The application: transactions over the three tables, by row locks as InnoDB has them.

use crate::mysql::{Kind, MySql};
use crate::rng::Rng;
use crate::tables::{Change, Pk, Quality, Row, Table};
use crate::weather::Weather;

/// What the application does next.
pub(crate) fn next(mysql: &MySql, weather: &Weather, rng: &mut Rng, xids: &mut u64) -> Option<Kind> {
    if weather.xa && !mysql.prepared.is_empty() && rng.chance(300) {
        let xids: Vec<u64> = mysql.prepared.keys().copied().collect();
        return rng.pick(&xids).map(|xid| Kind::Resolve(xid, rng.chance(650)));
    }
    let size = match rng.below(100) {
        0..4 => 0,
        4..75 => 1,
        75..95 => rng.between(2, 5),
        _ => rng.between(6, 40),
    };
    let changes = changes(mysql, weather, rng, size);
    if weather.xa && rng.chance(200) && !changes.is_empty() {
        *xids += 1;
        let one_phase = rng.chance(250);
        return Some(if one_phase { Kind::OnePhase(*xids, changes) } else { Kind::Prepare(*xids, changes) });
    }
    Some(Kind::Commit(changes))
}

fn changes(mysql: &MySql, weather: &Weather, rng: &mut Rng, size: u64) -> Vec<Change> {
    let mut changes: Vec<Change> = Vec::new();
    for _ in 0..size {
        let pk = pick_row(weather, rng);
        if mysql.locked.contains(&pk) || changes.iter().any(|change| change.pk == pk) {
            continue;
        }
        let before = mysql.tables.rows.get(&pk).cloned();
        let gone = before.is_some() && rng.chance(if pk.0 == Table::Parent { 60 } else { 250 });
        let after = if gone { None } else { Some(row(pk.0, before.as_ref(), weather, rng)) };
        if before != after {
            changes.push(Change { pk, before, after });
        }
    }
    changes
}

fn pick_row(weather: &Weather, rng: &mut Rng) -> Pk {
    match rng.below(100) {
        0..50 => (Table::Main, rng.between(1, weather.mains) as i64),
        50..90 if weather.children > 0 => (Table::Child, rng.between(1, weather.children) as i64),
        _ => (Table::Parent, rng.between(1, weather.parents) as i64),
    }
}

/// A new row, or the changed one.
fn row(table: Table, before: Option<&Row>, weather: &Weather, rng: &mut Rng) -> Row {
    let other = weather.spellings && rng.chance(300);
    let value = rng.below(1 << 40);
    match table {
        Table::Parent => Row::Parent { name: value },
        Table::Child => Row::Child { main: rng.between(1, weather.mains) as i64, other, value },
        Table::Main => {
            let parent = rng.between(1, weather.parents) as i64;
            let same = match before {
                Some(Row::Main { other, parent, .. }) if rng.chance(700) => Some((*other, *parent)),
                _ => None,
            };
            let (other, parent) = same.unwrap_or((other, parent));
            Row::Main { other, value, parent, quality: quality(weather, rng) }
        }
    }
}

fn quality(weather: &Weather, rng: &mut Rng) -> Quality {
    if rng.chance(weather.poison) {
        Quality::Poison
    } else if rng.chance(weather.bad) {
        Quality::Bad
    } else {
        Quality::Good
    }
}

/// The rows that are there before anything is watched.
pub(crate) fn furnish(mysql: &mut MySql, weather: &Weather, rng: &mut Rng) {
    for parent in 1..=weather.parents as i64 {
        mysql.tables.rows.insert((Table::Parent, parent), row(Table::Parent, None, weather, rng));
    }
    for main in 1..=weather.mains as i64 {
        if rng.chance(700) {
            mysql.tables.rows.insert((Table::Main, main), row(Table::Main, None, weather, rng));
        }
    }
    for child in 1..=weather.children as i64 {
        if rng.chance(600) {
            mysql.tables.rows.insert((Table::Child, child), row(Table::Child, None, weather, rng));
        }
    }
}
