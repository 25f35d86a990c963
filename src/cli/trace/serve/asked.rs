//! From a URL's parameters to a question. The selection's have the names and the meaning of the flags.

use clap::error::ErrorKind;
use clap::{Args, Parser, ValueEnum};
use form_urlencoded::parse;

use crate::cli::trace::args::SelectionArgs;
use crate::cli::trace::selection::selection;
use crate::trace::{Bookmark, Form, Request, RowNumber, Selection, Span, TraceError};

/// Lines of a page, at most.
const MOST: u16 = 1000;

/// `/api/overview`.
#[derive(Debug, Parser)]
#[command(no_binary_name = true, disable_help_flag = true)]
pub(super) struct OverviewAsked {
    /// Seconds of an interval; without it chosen by the span.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u64).range(0..=86_400))]
    interval: u64,
    #[command(flatten)]
    selection: SelectionArgs,
}

/// `/api/changes`.
#[derive(Debug, Parser)]
#[command(no_binary_name = true, disable_help_flag = true)]
pub(super) struct ChangesAsked {
    #[arg(long, value_enum, default_value_t = Order::Newest)]
    order: Order,
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=i64::from(MOST)))]
    pub(super) limit: u16,
    /// `next` of the page before.
    #[arg(long, value_parser = bookmark)]
    pub(super) after: Option<Bookmark>,
    #[command(flatten)]
    selection: SelectionArgs,
}

/// `/api/sql` and `/api/rollback`.
#[derive(Debug, Parser)]
#[command(no_binary_name = true, disable_help_flag = true)]
pub(super) struct StatementsAsked {
    #[arg(long, default_value_t = false, action = clap::ArgAction::Set)]
    full_set: bool,
    #[arg(long, default_value_t = false, action = clap::ArgAction::Set)]
    with_original: bool,
    #[arg(long, default_value_t = false, action = clap::ArgAction::Set)]
    guard: bool,
    #[arg(long, default_value_t = false, action = clap::ArgAction::Set)]
    exact: bool,
    #[command(flatten)]
    place: PlaceArgs,
    #[command(flatten)]
    selection: SelectionArgs,
}

/// One transaction, or one row of it.
#[derive(Debug, Args)]
struct PlaceArgs {
    #[arg(long, requires = "position")]
    file: Option<String>,
    #[arg(long, requires = "file")]
    position: Option<u64>,
    #[arg(long, requires = "position")]
    row: Option<RowNumber>,
}

/// Which changes come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Order {
    Newest,
    Oldest,
}

impl OverviewAsked {
    pub(super) fn request(&self) -> Result<Request, TraceError> {
        Ok(Request {
            interval: self.interval,
            selection: select(&self.selection)?,
            ..Request::new(Form::Stats)
        })
    }
}

impl ChangesAsked {
    pub(super) fn request(&self) -> Result<Request, TraceError> {
        let newest_first = self.order == Order::Newest;
        Ok(Request { newest_first, selection: select(&self.selection)?, ..Request::new(Form::Listing) })
    }
}

impl StatementsAsked {
    pub(super) fn request(&self, rollback: bool) -> Result<Request, TraceError> {
        let mut selection = select(&self.selection)?;
        if let (Some(file), Some(position)) = (&self.place.file, self.place.position) {
            selection.span =
                Some(Span { file: file.clone(), from: position, to: position.saturating_add(1) });
        }
        selection.row = self.place.row;
        let form = match (rollback, self.exact) {
            (false, false) => Form::Sql,
            (true, false) => Form::Rollback,
            (true, true) if self.place.row.is_none() => Form::ExactRollback,
            (true, true) => return Err(option("exact: takes back whole transactions: leave row out")),
            (false, true) => return Err(option("exact: is for rollback")),
        };
        Ok(Request {
            selection,
            full_set: self.full_set,
            with_original: self.with_original,
            guard: self.guard,
            ..Request::new(form)
        })
    }
}

fn select(args: &SelectionArgs) -> Result<Selection, TraceError> {
    let selection = selection(args)?;
    selection.check()?;
    Ok(selection)
}

fn option(text: &str) -> TraceError {
    TraceError::Option(text.to_owned())
}

/// Reads a query as if its parameters were flags. Empty ones count as left out.
pub(super) fn read<P: Parser>(query: &str) -> Result<P, TraceError> {
    let flags = parse(query.as_bytes()).filter(|(_, value)| !value.is_empty());
    let flags = flags.map(|(name, value)| format!("--{name}={value}"));
    P::try_parse_from(flags).map_err(|error| match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => option("there is no such parameter"),
        _ => {
            let text = error.to_string();
            let said = text.split("\n\n").next().unwrap_or_default();
            TraceError::Option(said.trim_start_matches("error: ").replace('\n', " "))
        }
    })
}

fn bookmark(text: &str) -> Result<Bookmark, String> {
    let mut parts = text.rsplitn(3, ':');
    let mut next = || parts.next();
    let (lines, position, file) = (next(), next(), next());
    let read = || {
        Some(Bookmark {
            file: file?.to_owned(),
            position: position?.parse().ok()?,
            lines: lines?.parse().ok()?,
        })
    };
    read().ok_or_else(|| "take it from `next` of the page before".to_owned())
}

/// A bookmark as a parameter.
pub(super) fn bookmark_text(bookmark: &Bookmark) -> String {
    format!("{}:{}:{}", bookmark.file, bookmark.position, bookmark.lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_flags() {
        let asked: ChangesAsked = read(
            "table=shop.orders&table=shop.users&where=shop.orders.state+%3D+%27-x%27&event=insert,update&limit=5&\
             order=oldest&after=a:b.000001:120:3&start-time=&thread-id=7",
        )
        .unwrap();
        let request = asked.request().unwrap();
        assert!(!request.newest_first && asked.limit == 5);
        assert_eq!(request.selection.tables, ["shop.orders", "shop.users"]);
        assert_eq!((request.selection.predicates.len(), request.selection.events.len()), (1, 2));
        assert_eq!(request.selection.thread_id, Some(7));
        let after = asked.after.unwrap();
        assert_eq!(bookmark_text(&after), "a:b.000001:120:3");
        assert_eq!(after.file, "a:b.000001");
    }

    #[test]
    fn what_is_wrong_is_said() {
        let said = |query: &str| match read::<StatementsAsked>(query).and_then(|asked| asked.request(true)) {
            Ok(_) => String::new(),
            Err(error) => error.to_string(),
        };
        for (query, expected) in [
            ("where=id+=+4", "--where"),
            ("start-time=noon", "--start-time"),
            ("thread-id=x", "--thread-id"),
            ("nothing=1", "--nothing"),
            ("help=1", "--help"),
            ("table=orders", "write DB.TABLE"),
            ("row=1.0", "--position"),
            ("file=b.1&position=4&row=1", "row"),
            ("file=b.1&position=4&row=1.0&exact=true", "leave row out"),
        ] {
            let said = said(query);
            assert!(said.contains(expected) && !said.contains('\n'), "{query}: {said}");
        }
        assert_eq!(said("file=b.1&position=4&row=1.0&guard=true"), "");
    }
}
