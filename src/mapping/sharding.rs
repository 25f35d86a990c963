//! Sharded tables: variables such as `{{shard}}` in names, which shard holds a key, and SQL for one shard.
//!
//! Within this room a variable stands in names as a mark of private characters, which the tokenizer takes for
//! letters, so that `book_{{shard}}` is one name through all of the analysis; [`Shards::render`] puts a shard's
//! number in its place.

use super::error::MappingError;
use crate::model::{Key, KeyPart, TableName};

const OPEN: char = '\u{e000}';
const CLOSE: char = '\u{e001}';

/// Most physical tables behind one name.
const MOST_SHARDS: usize = 4_096;

/// One entry of `mapping.sharding`: a variable, and which number it has for a key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ShardVariable {
    /// What stands between `{{` and `}}`, in any case.
    pub name: String,
    /// How the main key decides the number.
    pub strategy: ShardStrategy,
    /// Numbers run from 0 to this, exclusive.
    pub shards: u32,
    /// Digits that the number is filled up to with zeros.
    pub width: usize,
    /// Text around the number, which `{}` stands for.
    pub format: String,
}

/// How a key decides its shard.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ShardStrategy {
    /// CRC-32 (IEEE) of the key's text, unsigned, modulo the shards.
    Crc32Unsigned,
    /// The same CRC-32 as a signed number, its absolute value modulo the shards.
    Crc32SignedAbs,
    /// The absolute value of an integer key modulo the shards.
    Modulo,
}

impl ShardVariable {
    /// The number of the shard that holds a key. A key of text that is no integer has no remainder: 0.
    pub fn shard_of(&self, key: &Key) -> u32 {
        let text = key.parts().first().map(KeyPart::to_string).unwrap_or_default();
        let shards = self.shards.max(1);
        let crc = || crc32fast::hash(text.as_bytes());
        match self.strategy {
            ShardStrategy::Crc32Unsigned => crc() % shards,
            ShardStrategy::Crc32SignedAbs => crc().cast_signed().unsigned_abs() % shards,
            ShardStrategy::Modulo => {
                let number = text.parse::<i128>().unwrap_or(0).unsigned_abs();
                u32::try_from(number % u128::from(shards)).unwrap_or(0)
            }
        }
    }

    fn text(&self, number: u32) -> String {
        self.format.replacen("{}", &format!("{number:0width$}", width = self.width), 1)
    }
}

/// A number for each variable: one physical table behind each name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Shard(Box<[u32]>);

/// The variables of a task.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Shards {
    variables: Vec<ShardVariable>,
}

impl Shards {
    pub(super) fn new(variables: &[ShardVariable]) -> Result<Self, MappingError> {
        for (i, variable) in variables.iter().enumerate() {
            let fail = |found: &str, remedy: &str| MappingError::Sharding {
                variable: variable.name.clone(),
                found: found.to_owned(),
                remedy: remedy.to_owned(),
            };
            if variable.shards == 0 {
                return Err(fail("0 shards", "give the number of tables"));
            }
            if !variable.format.contains("{}") {
                return Err(fail("its format lacks {}", "write {} where the number belongs"));
            }
            if variables.iter().take(i).any(|other| other.name.eq_ignore_ascii_case(&variable.name)) {
                return Err(fail("it stands twice", "give each variable a name of its own"));
            }
        }
        let all = variables.iter().try_fold(1usize, |all, v| all.checked_mul(v.shards as usize));
        if all.is_none_or(|all| all > MOST_SHARDS) {
            return Err(MappingError::Sharding {
                variable: variables.iter().map(|v| v.name.as_str()).collect::<Vec<_>>().join(", "),
                found: format!("more than {MOST_SHARDS} physical tables behind one name"),
                remedy: "split the task by WHERE".to_owned(),
            });
        }
        Ok(Self { variables: variables.to_vec() })
    }

    /// The text with each `{{variable}}` as its mark.
    pub(super) fn mark(&self, place: &'static str, text: &str) -> Result<String, MappingError> {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{") {
            let (name, after) = after
                .split_once("}}")
                .ok_or_else(|| MappingError::Syntax { place, found: "`{{` without `}}`".to_owned() })?;
            let known = self.variables.iter().find(|v| v.name.eq_ignore_ascii_case(name.trim()));
            let variable = known.ok_or_else(|| {
                let all: Vec<&str> = self.variables.iter().map(|v| v.name.as_str()).collect();
                let there = if all.is_empty() { "none".to_owned() } else { all.join(", ") };
                MappingError::unsupported(
                    format!("the variable {{{{{}}}}}", name.trim()),
                    format!("declare it in mapping.sharding (there: {there})"),
                )
            })?;
            out.extend([before, &OPEN.to_string(), &variable.name.to_lowercase(), &CLOSE.to_string()]);
            rest = after;
        }
        out.push_str(rest);
        Ok(out)
    }

    /// Does the text differ from shard to shard?
    pub(super) fn within(text: &str) -> bool {
        text.contains(OPEN)
    }

    /// The shards for which the text differs, in order; one where it does not.
    pub(super) fn all(&self, text: &str) -> Vec<Shard> {
        let mut all = vec![Vec::new()];
        for variable in &self.variables {
            let numbers = if text.contains(&Self::marked(variable)) { variable.shards } else { 1 };
            all = all
                .into_iter()
                .flat_map(|before: Vec<u32>| {
                    (0..numbers).map(move |number| {
                        let mut next = before.clone();
                        next.push(number);
                        next
                    })
                })
                .collect();
        }
        all.into_iter().map(|numbers| Shard(numbers.into())).collect()
    }

    /// The shard in which the text finds the key.
    pub(super) fn of(&self, text: &str, key: &Key) -> Shard {
        let number = |variable: &ShardVariable| {
            if text.contains(&Self::marked(variable)) { variable.shard_of(key) } else { 0 }
        };
        Shard(self.variables.iter().map(number).collect())
    }

    /// The text for one shard.
    pub(super) fn render(&self, text: &str, shard: &Shard) -> String {
        if !Self::within(text) {
            return text.to_owned();
        }
        let mut out = text.to_owned();
        for (variable, number) in self.variables.iter().zip(&shard.0) {
            out = out.replace(&Self::marked(variable), &variable.text(*number));
        }
        out
    }

    /// The physical tables behind a name.
    pub(super) fn tables(&self, name: &TableName) -> Vec<TableName> {
        let text = format!("{}.{}", name.schema, name.table);
        let render =
            |shard: &Shard| TableName::new(self.render(&name.schema, shard), self.render(&name.table, shard));
        self.all(&text).iter().map(render).collect()
    }

    /// Refuses keys by which no shard can be told.
    pub(super) fn check_key(&self, columns: usize, integer: bool) -> Result<(), MappingError> {
        for variable in &self.variables {
            let fail = |found: &str, remedy: &str| {
                Err(MappingError::Sharding {
                    variable: variable.name.clone(),
                    found: found.to_owned(),
                    remedy: remedy.to_owned(),
                })
            };
            if columns != 1 {
                return fail("the key has several columns", "shard by a key of one column");
            }
            if variable.strategy == ShardStrategy::Modulo && !integer {
                return fail("strategy mod needs an integer key", "use crc32_ieee_uint32");
            }
        }
        Ok(())
    }

    fn marked(variable: &ShardVariable) -> String {
        format!("{OPEN}{}{CLOSE}", variable.name.to_lowercase())
    }
}

/// The text as users write it: marks back to `{{variable}}`.
pub(super) fn shown(text: &str) -> String {
    text.replace(OPEN, "{{").replace(CLOSE, "}}")
}

/// Does a table's name hold a variable?
pub(super) fn is_template(name: &TableName) -> bool {
    Shards::within(&name.schema) || Shards::within(&name.table)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variable(strategy: ShardStrategy, shards: u32) -> ShardVariable {
        ShardVariable { name: "Shard".into(), strategy, shards, width: 2, format: "{}".into() }
    }

    #[test]
    fn keys_go_where_the_first_seed_put_them() {
        let of =
            |strategy, key: &str| variable(strategy, 64).shard_of(&Key::new([KeyPart::Text(key.into())]));
        for (key, shard) in
            [("0", 33), ("1", 55), ("42", 8), ("258652761531355136", 0), ("258652848596717568", 63)]
        {
            assert_eq!(of(ShardStrategy::Crc32Unsigned, key), shard, "{key}");
        }
        assert_eq!(of(ShardStrategy::Crc32SignedAbs, "0"), 31);
        assert_eq!(of(ShardStrategy::Crc32SignedAbs, "1"), 9);
        assert_eq!(of(ShardStrategy::Modulo, "-130"), 2);
        let as_number =
            variable(ShardStrategy::Crc32Unsigned, 64).shard_of(&Key::int(258_652_848_596_717_568));
        assert_eq!(as_number, 63);
    }

    #[test]
    fn names_are_written_for_each_shard() {
        let second = ShardVariable {
            name: "db".into(),
            format: "s_{}".into(),
            width: 1,
            ..variable(ShardStrategy::Modulo, 2)
        };
        let shards = Shards::new(&[variable(ShardStrategy::Modulo, 3), second]).unwrap();
        let text = shards.mark("query.sql", "{{ DB }}.book_{{shard}}").unwrap();
        assert_eq!(shown(&text), "{{db}}.book_{{shard}}");
        let all: Vec<String> = shards.all(&text).iter().map(|s| shards.render(&text, s)).collect();
        assert_eq!(all.len(), 6);
        assert_eq!((&*all[0], &*all[5]), ("s_0.book_00", "s_1.book_02"));
        assert_eq!(shards.render(&text, &shards.of(&text, &Key::int(5))), "s_1.book_02");
        let one = shards.mark("query.sql", "x_{{shard}}").unwrap();
        assert_eq!(shards.all(&one).len(), 3);
        assert_eq!(shards.all("plain").len(), 1);
        assert!(shards.mark("query.sql", "{{nope}}").unwrap_err().to_string().contains("(there: Shard, db)"));
        assert!(shards.mark("query.sql", "{{nope").is_err());
    }

    #[test]
    fn sharding_that_cannot_be() {
        let bad = |v: ShardVariable| Shards::new(&[v]).unwrap_err().to_string();
        assert!(bad(variable(ShardStrategy::Modulo, 0)).contains("0 shards"));
        assert!(bad(variable(ShardStrategy::Modulo, 5_000)).contains("4096"));
        let format = ShardVariable { format: "x".into(), ..variable(ShardStrategy::Modulo, 2) };
        assert!(bad(format).contains("lacks {}"));
        let two = [variable(ShardStrategy::Modulo, 2), variable(ShardStrategy::Modulo, 2)];
        assert!(Shards::new(&two).is_err());
    }
}
