//! What of the SQL grammar is understood. Everything else is refused by name, before any schema is known.

use sqlparser::ast::{
    BinaryOperator, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentClause, FunctionArguments,
    OrderByExpr, Query, Select, UnaryOperator, Value, WindowFrameBound, WindowSpec, WindowType,
};
use sqlparser::tokenizer::Token;

use super::error::{MappingError, fragment};
use super::functions::{self, Kind};
use super::text::Lexed;

/// A part of an expression.
pub(super) enum Child<'a> {
    /// An expression of the same query block.
    Expr(&'a Expr),
    /// A subquery.
    Query(&'a Query),
}

type Children<'a> = Vec<Child<'a>>;

/// The parts of an expression, or a refusal by name where the expression is none that we understand.
pub(super) fn children(expr: &Expr) -> Result<Children<'_>, MappingError> {
    if let Some(parts) = operands(expr) {
        return Ok(parts.into_iter().map(Child::Expr).collect());
    }
    match expr {
        Expr::Value(value) => literal(expr, &value.value),
        Expr::UnaryOp { op, expr: operand } => unary(expr, *op, operand),
        Expr::BinaryOp { left, op, right } => binary(expr, left, op, right),
        Expr::InSubquery { expr: one, subquery, .. } => Ok(vec![Child::Expr(one), Child::Query(subquery)]),
        Expr::Exists { subquery, .. } | Expr::Subquery(subquery) => Ok(vec![Child::Query(subquery)]),
        Expr::Function(function) => call(function),
        Expr::MatchAgainst { .. } => Err(MappingError::not_separable(
            format!("{}: full-text relevance depends on the whole table", fragment(expr)),
            "search in Elasticsearch instead, or compare with LIKE",
        )),
        other => Err(MappingError::unsupported(fragment(other), "write it with plain MySQL operators")),
    }
}

/// The operands of expressions that hold nothing but operands.
fn operands(expr: &Expr) -> Option<Vec<&Expr>> {
    Some(match expr {
        Expr::Identifier(_) | Expr::CompoundIdentifier(_) | Expr::TypedString(_) => vec![],
        Expr::IsFalse(e)
        | Expr::IsNotFalse(e)
        | Expr::IsTrue(e)
        | Expr::IsNotTrue(e)
        | Expr::IsNull(e)
        | Expr::IsNotNull(e)
        | Expr::IsUnknown(e)
        | Expr::IsNotUnknown(e)
        | Expr::Nested(e)
        | Expr::Cast { expr: e, .. }
        | Expr::Extract { expr: e, .. }
        | Expr::Collate { expr: e, .. }
        | Expr::Ceil { expr: e, .. }
        | Expr::Floor { expr: e, .. }
        | Expr::Prefixed { value: e, .. } => vec![e],
        Expr::Convert { expr: e, styles, .. } if styles.is_empty() => vec![e],
        Expr::InList { expr: e, list, .. } => std::iter::once(&**e).chain(list).collect(),
        Expr::AnyOp { left, right, .. } | Expr::AllOp { left, right, .. } => vec![left, right],
        Expr::Between { expr: e, low, high, .. } => vec![e, low, high],
        Expr::Like { expr: e, pattern, escape_char, any: false, .. } => {
            [Some(&**e), Some(pattern), escape_char.as_deref()].into_iter().flatten().collect()
        }
        Expr::RLike { expr: e, pattern, .. } => vec![e, pattern],
        Expr::Position { expr: e, r#in } => vec![e, r#in],
        Expr::Substring { expr: e, substring_from, substring_for, .. } => {
            let parts = [Some(&**e), substring_from.as_deref(), substring_for.as_deref()];
            parts.into_iter().flatten().collect()
        }
        Expr::Trim { expr: e, trim_what, trim_characters: None, .. } => {
            std::iter::once(&**e).chain(trim_what.as_deref()).collect()
        }
        Expr::Case { operand, conditions, else_result, .. } => {
            let ends = [operand.as_deref(), else_result.as_deref()].into_iter().flatten();
            ends.chain(conditions.iter().flat_map(|arm| [&arm.condition, &arm.result])).collect()
        }
        Expr::Interval(interval) => vec![&interval.value],
        Expr::MemberOf(member) => vec![&member.value, &member.array],
        Expr::Tuple(items) => items.iter().collect(),
        _ => return None,
    })
}

fn literal<'a>(expr: &Expr, value: &Value) -> Result<Children<'a>, MappingError> {
    use Value as V;
    match value {
        V::Number(..)
        | V::SingleQuotedString(_)
        | V::DoubleQuotedString(_)
        | V::HexStringLiteral(_)
        | V::NationalStringLiteral(_)
        | V::SingleQuotedByteStringLiteral(_)
        | V::Boolean(_)
        | V::Null
        | V::Placeholder(_) => Ok(vec![]),
        _ => Err(MappingError::unsupported(fragment(expr), "write it as a plain MySQL literal")),
    }
}

fn unary<'a>(expr: &Expr, op: UnaryOperator, operand: &'a Expr) -> Result<Children<'a>, MappingError> {
    use UnaryOperator as U;
    match op {
        U::Plus | U::Minus | U::Not | U::BangNot | U::BitwiseNot => Ok(vec![Child::Expr(operand)]),
        _ => Err(MappingError::unsupported(fragment(expr), "write it with plain MySQL operators")),
    }
}

fn binary<'a>(
    expr: &Expr,
    left: &'a Expr,
    op: &BinaryOperator,
    right: &'a Expr,
) -> Result<Children<'a>, MappingError> {
    use BinaryOperator as B;
    match op {
        B::Plus
        | B::Minus
        | B::Multiply
        | B::Divide
        | B::Modulo
        | B::MyIntegerDivide
        | B::Gt
        | B::Lt
        | B::GtEq
        | B::LtEq
        | B::Spaceship
        | B::Eq
        | B::NotEq
        | B::And
        | B::Or
        | B::BitwiseOr
        | B::BitwiseAnd
        | B::BitwiseXor
        | B::PGBitwiseShiftLeft
        | B::PGBitwiseShiftRight
        | B::Regexp
        | B::Arrow
        | B::LongArrow => Ok(vec![Child::Expr(left), Child::Expr(right)]),
        B::Xor => {
            let remedy = "write (a) <> (b) instead of XOR";
            Err(MappingError::unsupported(fragment(expr), remedy))
        }
        B::Assignment => Err(user_variable(expr)),
        _ => Err(MappingError::unsupported(fragment(expr), "write it with plain MySQL operators")),
    }
}

/// The refusal of `@name`, which carries a value from one row to the next.
pub(super) fn user_variable(what: &impl ToString) -> MappingError {
    MappingError::not_separable(
        format!("the user or system variable in {}", fragment(what)),
        "write it without variables (a window function partitioned by the key serves for numbering)",
    )
}

/// Refuses operators that the parser ranks otherwise than MySQL does, so that it would see other conjuncts.
pub(super) fn check_tokens(lexed: &Lexed) -> Result<(), MappingError> {
    let refuse = |what: &str, remedy: &str| Err(MappingError::unsupported(what, remedy));
    for lexeme in &lexed.tokens {
        match &lexeme.token {
            Token::Overlap => return refuse("the operator &&", "write AND instead of &&"),
            Token::StringConcat => {
                return refuse("the operator ||", "write OR or CONCAT(): what || means depends on sql_mode");
            }
            Token::LBrace => {
                return refuse("a template variable {{...}} (sharding)", "name one physical table for now");
            }
            _ => {}
        }
    }
    Ok(())
}

/// The arguments of a call as expressions.
pub(super) fn arguments(function: &Function) -> Result<Children<'_>, MappingError> {
    let list = match &function.args {
        FunctionArguments::None => return Ok(vec![]),
        FunctionArguments::Subquery(query) => return Ok(vec![Child::Query(query)]),
        FunctionArguments::List(list) => list,
    };
    let refuse = || MappingError::unsupported(fragment(function), "pass plain arguments");
    let mut found = Vec::new();
    let name = function.name.to_string().to_ascii_uppercase();
    let unit_first = matches!(name.as_str(), "TIMESTAMPDIFF" | "TIMESTAMPADD" | "GET_FORMAT");
    for argument in list.args.iter().skip(usize::from(unit_first)) {
        match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(e)) => found.push(Child::Expr(e)),
            FunctionArg::Unnamed(FunctionArgExpr::Wildcard) => {}
            _ => return Err(refuse()),
        }
    }
    for clause in &list.clauses {
        use FunctionArgumentClause as C;
        match clause {
            C::OrderBy(order) => found.extend(order.iter().map(|o| Child::Expr(&o.expr))),
            C::Separator(_) | C::IgnoreOrRespectNulls(_) | C::JsonReturningClause(_) => {}
            _ => return Err(refuse()),
        }
    }
    Ok(found)
}

fn call(function: &Function) -> Result<Children<'_>, MappingError> {
    let plain = !function.uses_odbc_syntax
        && matches!(function.parameters, FunctionArguments::None)
        && function.within_group.is_empty()
        && function.filter.is_none();
    if !plain {
        return Err(MappingError::unsupported(fragment(function), "write a plain MySQL call"));
    }
    let mut found = arguments(function)?;
    if let Some(WindowType::WindowSpec(spec)) = &function.over {
        found.extend(window(spec));
    }
    Ok(found)
}

/// The expressions of a window.
pub(super) fn window(spec: &WindowSpec) -> Children<'_> {
    let order = spec.order_by.iter().map(|o: &OrderByExpr| &o.expr);
    let bounds = spec.window_frame.iter().flat_map(|f| std::iter::once(&f.start_bound).chain(&f.end_bound));
    let limits = bounds.filter_map(|bound| match bound {
        WindowFrameBound::Preceding(e) | WindowFrameBound::Following(e) => e.as_deref(),
        WindowFrameBound::CurrentRow => None,
    });
    spec.partition_by.iter().chain(order).chain(limits).map(Child::Expr).collect()
}

/// Refuses a call whose result changes without a change of a row.
pub(super) fn check_call(function: &Function, volatile_allowed: bool) -> Result<(), MappingError> {
    let parts: Vec<String> = function.name.0.iter().map(ToString::to_string).collect();
    let (name, qualified) = (parts.last().map_or("", String::as_str), parts.len() > 1);
    let count = arguments(function).map_or(0, |found| found.len());
    let refuse = |why| Err(MappingError::Volatile { function: fragment(function), why });
    match functions::kind(name.trim_matches('`'), count, qualified) {
        _ if volatile_allowed => Ok(()),
        Kind::Volatile => refuse("whose result changes without any change of a row"),
        Kind::Stored => refuse("no built-in function of MySQL: a stored function may read anything"),
        Kind::Pure | Kind::Aggregate | Kind::Window => Ok(()),
    }
}

/// Refuses clauses of a query block that are not MySQL's or that write.
pub(super) fn check_select(select: &Select) -> Result<(), MappingError> {
    let refuse = |what: &str, remedy: &str| Err(MappingError::unsupported(what, remedy));
    if select.into.is_some() {
        return refuse("SELECT ... INTO", "take INTO out");
    }
    if select.select_modifiers.as_ref().is_some_and(|m| m.sql_calc_found_rows) {
        return refuse("SQL_CALC_FOUND_ROWS", "take it out");
    }
    if select.optimizer_hints.iter().any(|h| h.to_string().to_ascii_uppercase().contains("SET_VAR")) {
        return refuse("the hint SET_VAR", "take it out: it changes what the SQL means");
    }
    let foreign = select.top.is_some()
        || select.exclude.is_some()
        || select.prewhere.is_some()
        || select.qualify.is_some()
        || select.value_table_mode.is_some()
        || !select.lateral_views.is_empty()
        || !select.connect_by.is_empty()
        || !select.cluster_by.is_empty()
        || !select.distribute_by.is_empty()
        || !select.sort_by.is_empty();
    if foreign {
        return refuse(&fragment(select), "write plain MySQL");
    }
    Ok(())
}

/// Refuses clauses of a query that are not MySQL's, and locks.
pub(super) fn check_query(query: &Query) -> Result<(), MappingError> {
    if !query.locks.is_empty() {
        return Err(MappingError::unsupported("a locking read", "take FOR UPDATE or FOR SHARE out"));
    }
    let foreign = query.fetch.is_some()
        || query.for_clause.is_some()
        || query.settings.is_some()
        || query.format_clause.is_some()
        || !query.pipe_operators.is_empty();
    if foreign {
        return Err(MappingError::unsupported(fragment(query), "write plain MySQL"));
    }
    if query.with.as_ref().is_some_and(|with| with.recursive) {
        return Err(MappingError::unsupported(
            "WITH RECURSIVE",
            "unroll the recursion to joins of fixed depth, or keep the result in a table",
        ));
    }
    Ok(())
}
