//! A source with all of its mutants in it, each behind a switch: mutant schemata (Untch, Offutt and Harrold, 1993).
//!
//! The mutants are those that `cargo mutants --list --json` names, by place; this only finds the expression, arm or
//! body that stands there and writes the alternative beside it. Not here: which mutants there are, running them.

use std::collections::BTreeMap;
use std::ops::Range;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

pub struct Mutant {
    pub id: u32,
    pub genre: String,
    /// Line and column, from 1.
    pub from: (usize, usize),
    pub replacement: String,
    pub name: String,
}

type Bytes = Range<usize>;

/// What stands at a place, by the first byte of what `cargo mutants` replaces.
enum Place {
    Binary { whole: Bytes, left: Bytes, right: Bytes },
    Unary { whole: Bytes, operand: Bytes },
    Guard(Bytes),
    Arm { pattern_end: usize, guard: Option<Bytes> },
    Field { value: Bytes, base: Bytes, member: String, short: bool },
    Body,
}

#[derive(Default)]
struct Places(BTreeMap<(&'static str, usize), Place>);

fn bytes(of: &impl Spanned) -> Bytes {
    of.span().byte_range()
}

/// `let` in a chain of conditions cannot be moved into an expression of its own.
fn has_let(expr: &syn::Expr) -> bool {
    match expr {
        syn::Expr::Let(_) => true,
        syn::Expr::Binary(b) => has_let(&b.left) || has_let(&b.right),
        _ => false,
    }
}

impl Places {
    fn body(&mut self, signature: &syn::Signature, block: &syn::Block) {
        // Two ways to return must be of one type, which `impl` hides.
        let hidden = matches!(&signature.output, syn::ReturnType::Type(_, t) if matches!(**t, syn::Type::ImplTrait(_)));
        if let Some(first) = block.stmts.first().filter(|_| !hidden) {
            self.0.insert(("FnValue", bytes(first).start), Place::Body);
        }
    }
}

impl<'a> Visit<'a> for Places {
    fn visit_expr_binary(&mut self, e: &'a syn::ExprBinary) {
        if !has_let(&e.left) && !has_let(&e.right) {
            let place = Place::Binary { whole: bytes(e), left: bytes(&e.left), right: bytes(&e.right) };
            self.0.insert(("BinaryOperator", bytes(&e.op).start), place);
        }
        visit::visit_expr_binary(self, e);
    }

    fn visit_expr_unary(&mut self, e: &'a syn::ExprUnary) {
        let place = Place::Unary { whole: bytes(e), operand: bytes(&e.expr) };
        self.0.insert(("UnaryOperator", bytes(&e.op).start), place);
        visit::visit_expr_unary(self, e);
    }

    fn visit_arm(&mut self, arm: &'a syn::Arm) {
        let guard = arm.guard.as_ref().map(|(_, guard)| bytes(guard));
        if let Some(guard) = &guard {
            self.0.insert(("MatchArmGuard", guard.start), Place::Guard(guard.clone()));
        }
        let pattern = bytes(&arm.pat);
        self.0.insert(("MatchArm", pattern.start), Place::Arm { pattern_end: pattern.end, guard });
        visit::visit_arm(self, arm);
    }

    fn visit_expr_struct(&mut self, e: &'a syn::ExprStruct) {
        for field in &e.fields {
            if let (Some(base), syn::Member::Named(name)) = (&e.rest, &field.member) {
                let place = Place::Field {
                    value: bytes(&field.expr),
                    base: bytes(base),
                    member: name.to_string(),
                    short: field.colon_token.is_none(),
                };
                self.0.insert(("StructField", bytes(field).start), place);
            }
        }
        visit::visit_expr_struct(self, e);
    }

    fn visit_item_fn(&mut self, f: &'a syn::ItemFn) {
        self.body(&f.sig, &f.block);
        visit::visit_item_fn(self, f);
    }

    // A constant cannot ask a switch.
    fn visit_item_const(&mut self, _: &'a syn::ItemConst) {}

    fn visit_impl_item_fn(&mut self, f: &'a syn::ImplItemFn) {
        self.body(&f.sig, &f.block);
        visit::visit_impl_item_fn(self, f);
    }

    fn visit_trait_item_fn(&mut self, f: &'a syn::TraitItemFn) {
        f.default.iter().for_each(|block| self.body(&f.sig, block));
        visit::visit_trait_item_fn(self, f);
    }
}

/// The source with its mutants, and those for which there is no place: in a condition with `let` they would not
/// compile; in constants, and where the type returned is hidden, they have to be made one by one.
pub fn with_switches(source: &str, mutants: &[&Mutant]) -> Result<(String, Vec<u32>), syn::Error> {
    let file = syn::parse_file(source)?;
    let mut places = Places::default();
    places.visit_file(&file);
    let starts: Vec<usize> =
        std::iter::once(0).chain(source.match_indices('\n').map(|(at, _)| at + 1)).collect();
    let offset = |(line, column): (usize, usize)| {
        let line = starts[line - 1];
        line + source[line..].chars().take(column - 1).map(char::len_utf8).sum::<usize>()
    };
    let mut unplaced = Vec::new();
    // Alternatives to an expression, and conditions and statements put in.
    let mut instead: BTreeMap<(usize, usize), Vec<(u32, String)>> = BTreeMap::new();
    let mut extra: Vec<(usize, String)> = Vec::new();
    for m in mutants {
        let (id, new) = (m.id, &m.replacement);
        let text = |of: &Bytes| &source[of.clone()];
        let mut or = |whole: &Bytes, text: String| {
            instead.entry((whole.start, whole.end)).or_default().push((id, text));
        };
        let genre: &'static str = match m.genre.as_str() {
            "BinaryOperator" => "BinaryOperator",
            "UnaryOperator" => "UnaryOperator",
            "MatchArmGuard" => "MatchArmGuard",
            "MatchArm" => "MatchArm",
            "StructField" => "StructField",
            _ => "FnValue",
        };
        let at = offset(m.from);
        match places.0.get(&(genre, at)) {
            Some(Place::Binary { whole, left, right }) => {
                // The target of an assignment stands without brackets.
                let (left, right) = (text(left), text(right));
                let left = if new.ends_with('=') && !["==", "!=", "<=", ">="].contains(&new.as_str()) {
                    left.to_string()
                } else {
                    format!("({left})")
                };
                or(whole, format!("{left} {new} ({right})"));
            }
            Some(Place::Unary { whole, operand }) => or(whole, text(operand).to_string()),
            Some(Place::Guard(guard)) => or(guard, new.clone()),
            Some(Place::Arm { guard: Some(guard), .. }) => or(guard, "false".into()),
            Some(Place::Arm { pattern_end, guard: None }) => {
                extra.push((*pattern_end, format!("\n if crate::switch::at({id}) != /*m{id}*/ {id}\n")));
            }
            Some(Place::Field { value, base, member, short }) => {
                or(value, format!("({}).{member}", text(base)));
                if *short {
                    extra.push((value.start, format!("{member}: ")));
                }
            }
            Some(Place::Body) => extra.push((
                at,
                format!("\n if crate::switch::at({id}) == {id} {{ return /*m{id}*/ {}; }}\n", flat(new)),
            )),
            None => unplaced.push(id),
        }
    }
    // At one byte: what ends there before what begins, of those that end the inner first, of those that begin the
    // outer.
    let mut edits: Vec<(usize, u8, usize, String)> =
        extra.into_iter().enumerate().map(|(i, (at, text))| (at, 1, i, text)).collect();
    for ((from, to), alternatives) in instead {
        let mut head = format!("(match crate::switch::at({}) {{", alternatives[0].0);
        for (id, text) in &alternatives {
            head += &format!("\n{id} => /*m{id}*/ {},", flat(text));
        }
        edits.push((from, 2, usize::MAX - (to - from), head + "\n _ => "));
        edits.push((to, 0, to - from, "})".into()));
    }
    edits.sort();
    let (mut out, mut done) = (String::with_capacity(2 * source.len()), 0);
    for (at, _, _, text) in edits {
        out += &source[done..at];
        out += &text;
        done = at;
    }
    Ok((out + &source[done..], unplaced))
}

/// On one line, so that the compiler's complaints can be told apart. Comments to the end of a line would swallow it.
fn flat(text: &str) -> String {
    text.lines().map(|l| l.split("//").next().unwrap_or_default().trim()).collect::<Vec<_>>().join(" ")
}
