//! What a query's result is like, without running it.

use mysql_async::Column;
use mysql_async::consts::{ColumnFlags, ColumnType};
use mysql_async::prelude::Queryable;
use tokio::time::timeout;

use super::value::Codec;
use super::{Result, Source, SourceError};

/// A column of a query's result.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ResultColumn {
    /// Its name.
    pub name: String,
    /// What its values are.
    pub kind: ResultKind,
}

/// What the values of a result column are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ResultKind {
    /// Integers of so many bytes, YEAR.
    Integer {
        /// 1, 2, 4 or 8; 3 of MEDIUMINT count as 4.
        bytes: u8,
        /// UNSIGNED.
        unsigned: bool,
    },
    /// FLOAT.
    Float,
    /// DOUBLE.
    Double,
    /// DECIMAL with so many digits after the point.
    Decimal {
        /// Digits in all.
        digits: u8,
        /// Digits after the point.
        scale: u8,
    },
    /// BIT.
    Bit,
    /// Text of at most so many characters.
    Text {
        /// Characters.
        length: u32,
    },
    /// ENUM and SET.
    Word,
    /// Binary strings.
    Bytes,
    /// JSON.
    Json,
    /// VECTOR of at most so many numbers.
    Vector {
        /// Numbers.
        dimensions: u32,
    },
    /// DATE.
    Date,
    /// DATETIME and TIMESTAMP with so many digits of the second's fraction.
    DateTime {
        /// Digits, 0 to 6.
        digits: u8,
    },
    /// TIME.
    Time,
    /// GEOMETRY and its kinds.
    Geometry,
}

/// The most bytes of a character in the connection's character set, by which the server counts lengths.
const BYTES_PER_CHARACTER: u32 = 4;

impl Source {
    /// The columns of a statement's result; the statement is only prepared.
    ///
    /// # Errors
    /// What the server says to the statement; connection.
    pub async fn result_columns(&self, sql: &str) -> Result<Vec<ResultColumn>> {
        let (doing, limit) = ("preparing the query", self.options().query_timeout);
        let mut conn = self.connect().await?;
        let prepared = timeout(limit, conn.prep(sql)).await;
        let Ok(prepared) = prepared else {
            return Err(SourceError::Timeout { doing: doing.into(), after: limit });
        };
        let columns = prepared.map_err(|error| self.error(doing, error))?.columns();
        let _ = timeout(limit, conn.disconnect()).await;
        Ok(columns.iter().map(column).collect())
    }
}

fn column(column: &Column) -> ResultColumn {
    let length = column.column_length();
    let kind = match Codec::of(column) {
        Codec::Int => ResultKind::Integer {
            bytes: bytes(column.column_type()),
            unsigned: column.flags().contains(ColumnFlags::UNSIGNED_FLAG),
        },
        Codec::Real if column.column_type() == ColumnType::MYSQL_TYPE_FLOAT => ResultKind::Float,
        Codec::Real => ResultKind::Double,
        Codec::Decimal => {
            // the length counts the sign and the point
            let sign = !column.flags().contains(ColumnFlags::UNSIGNED_FLAG);
            let marks = u32::from(column.decimals() > 0) + u32::from(sign);
            let digits = u8::try_from(length.saturating_sub(marks)).unwrap_or(u8::MAX);
            ResultKind::Decimal { digits, scale: column.decimals() }
        }
        Codec::Bit => ResultKind::Bit,
        Codec::Text if column.flags().intersects(ColumnFlags::ENUM_FLAG | ColumnFlags::SET_FLAG) => {
            ResultKind::Word
        }
        Codec::Text => ResultKind::Text { length: length / BYTES_PER_CHARACTER },
        Codec::Bytes => ResultKind::Bytes,
        Codec::Json => ResultKind::Json,
        Codec::Vector => ResultKind::Vector { dimensions: length / 4 },
        Codec::Date => ResultKind::Date,
        Codec::DateTime(digits) | Codec::Timestamp(digits) => ResultKind::DateTime { digits: digits.min(6) },
        Codec::Time(_) => ResultKind::Time,
        Codec::Geometry => ResultKind::Geometry,
    };
    ResultColumn { name: column.name_str().into_owned(), kind }
}

fn bytes(of: ColumnType) -> u8 {
    match of {
        ColumnType::MYSQL_TYPE_TINY => 1,
        ColumnType::MYSQL_TYPE_SHORT | ColumnType::MYSQL_TYPE_YEAR => 2,
        ColumnType::MYSQL_TYPE_LONG | ColumnType::MYSQL_TYPE_INT24 => 4,
        _ => 8,
    }
}
