//! Who may use whom, and what the pure modules must not name: `src/` is read, and held against the map in `src/lib.rs`.
//!
//! Comments and texts are passed over. Paths that begin with `crate`, `super` or `self` are followed wherever they
//! stand, not only behind `use`.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// The modules at the top, and which others each may use. One that is not here may not exist.
const MAY_USE: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("settings", &["domain"]),
    ("decode", &["domain"]),
    ("route", &["domain"]),
    ("plan", &["domain"]),
    ("standby", &["domain"]),
    ("report", &["aws", "domain"]),
    ("sim", &["domain"]),
    ("aws", &["domain"]),
    ("inventory", &["domain"]),
    ("status", &["domain", "report"]),
    (
        "engine",
        &["aws", "decode", "domain", "inventory", "plan", "report", "route", "settings", "standby", "status"],
    ),
    (
        "cli",
        &[
            "aws",
            "decode",
            "domain",
            "engine",
            "inventory",
            "plan",
            "report",
            "route",
            "settings",
            "sim",
            "status",
        ],
    ),
    ("main", &["cli"]),
    ("lib", &[]),
];

/// Beginnings of module paths that are pure: no input or output, clock, chance or order of hash tables.
const PURE: &[&str] = &[
    "domain",
    "settings",
    "decode",
    "route",
    "inventory",
    "plan",
    "standby",
    "report::dora",
    "report::message",
    "report::past",
    "report::steps",
    "report::history",
    "report::notice",
    "report::bus::detail",
    "report::slack::action",
    "report::slack::blocks",
    "report::topic::message",
    "report::trace::attributes",
    "report::trace::spans",
    "report::webhook::signature",
    "sim",
];

/// What stands below a pure module and is not pure.
const NOT_PURE: &[&str] = &["sim::front"];

/// What pure modules must not name, and why.
const BANNED: &[(&str, &str)] = &[
    ("tokio", "waiting is for the engine"),
    ("axum", "HTTP is for status"),
    ("fastrand", "chance is an argument"),
    ("Instant", "time is an argument"),
    ("SystemTime", "time is an argument"),
    ("HashMap", "its order is chance"),
    ("HashSet", "its order is chance"),
];

/// What the names of the SDK's crates begin with.
const SDK: &[&str] = &["aws_sdk_", "aws_config", "aws_smithy_", "aws_credential_types", "aws_types"];

/// Files that may name a hash table. A comment in them says why its order does not matter.
const MAY_HASH: &[&str] = &["route/index.rs", "standby/explorer.rs"];

#[test]
fn every_module_uses_only_what_the_map_allows() {
    let sources = sources();
    assert!(sources.len() > 50, "src/ was not found");
    report(sources.iter().flat_map(broken_by_use));
}

#[test]
fn pure_modules_name_no_runtime_clock_chance_or_hash_table() {
    report(sources().iter().flat_map(broken_by_name));
}

#[test]
fn types_of_the_sdk_end_in_the_module_aws() {
    let outside = |source: &Source| source.top() != "aws";
    let named = sources().into_iter().filter(outside).flat_map(|source| {
        let of_sdk = |token: &&Token| SDK.iter().any(|begin| token.text.starts_with(begin));
        let broken = |token: &Token| source.at(token.line, &format!("`{}` outside of `aws`", token.text));
        source.tokens.iter().filter(of_sdk).map(broken).collect::<Vec<_>>()
    });
    report(named);
}

#[test]
fn what_breaks_a_rule_is_found_with_its_line() {
    let found = |path: &str, text: &str| {
        let source = Source::new(path, text);
        broken_by_use(&source).chain(broken_by_name(&source)).collect::<Vec<_>>()
    };
    let allowed =
        "use crate::domain::{Event, Look};\n// use crate::plan;\nconst A: &str = \"crate::plan tokio\";";
    assert!(found("sim/world.rs", allowed).is_empty());
    for (path, text, line) in [
        ("sim/world.rs", "use crate::{\n    domain::Look,\n    plan::{Input, Command},\n};", 3),
        ("route/mod.rs", "fn f() {}\nfn g() { crate::decode::decode(); }", 2),
        ("plan/lane.rs", "use super::super::report::history;", 1),
        ("plan/mod.rs", "mod tests {\n    use super::super::aws::Queue;\n}", 2),
        ("engine/mod.rs", "use crate::cli::Ended;", 1),
        ("notify/mod.rs", "use crate::domain;", 1),
        ("decode/json.rs", "\n\nfn f() { std::time::Instant::now(); }", 3),
        ("report/history.rs", "use std::collections::HashMap;", 1),
        ("route/index.rs", "use std::collections::HashMap;", 1),
    ] {
        let found = found(path, text);
        let place = format!("src/{path}:{line}: ");
        assert!(found.len() == 1 && found[0].starts_with(&place), "{place}: {found:?}");
    }
}

fn report(broken: impl IntoIterator<Item = String>) {
    let broken: Vec<String> = broken.into_iter().collect();
    assert!(broken.is_empty(), "the layout is broken:\n  {}\n", broken.join("\n  "));
}

fn broken_by_use(source: &Source) -> impl Iterator<Item = String> {
    let rule = MAY_USE.iter().find(|(module, _)| *module == source.top());
    let unknown = rule.is_none().then(|| source.at(1, "a module that the map does not know"));
    let (top, allowed) = rule.copied().unwrap_or((source.top(), &[]));
    let forbidden = rule.map(|_| source.used()).unwrap_or_default();
    let forbidden = forbidden.into_iter().filter(move |(used, _)| used != top && !allowed.contains(&&**used));
    let says = if allowed.is_empty() { "no other module".to_owned() } else { allowed.join(", ") };
    let broken = forbidden
        .map(move |(used, line)| source.at(line, &format!("`{top}` uses `{used}`, and may use {says}")));
    unknown.into_iter().chain(broken)
}

fn broken_by_name(source: &Source) -> impl Iterator<Item = String> {
    let module = source.module.join("::") + "::";
    let is_below = |begin: &&str| module.starts_with(&format!("{begin}::"));
    let is_pure = PURE.iter().any(is_below) && !NOT_PURE.iter().any(is_below);
    let may_hash = MAY_HASH.contains(&source.path.as_str()) && source.comments.contains("order");
    let tokens = source.tokens.iter().filter(move |_| is_pure);
    tokens.filter_map(move |token| {
        let (name, why) = BANNED.iter().find(|(name, _)| *name == token.text)?;
        let is_allowed = may_hash && name.starts_with("Hash");
        (!is_allowed).then(|| source.at(token.line, &format!("`{name}` in a pure module: {why}")))
    })
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&root, &mut files);
    let read = |file: &PathBuf| {
        let path = file.strip_prefix(&root).expect("it was found below");
        Source::new(path.to_str().expect("names are ASCII"), &fs::read_to_string(file).expect("it is text"))
    };
    files.iter().map(read).collect()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("the folder is there") {
        let path = entry.expect("the folder can be read").path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
}

/// One file below `src/`.
struct Source {
    path: String,
    /// Its module path; that of `src/plan/lane.rs` is `plan`, `lane`.
    module: Vec<String>,
    tokens: Vec<Token>,
    comments: String,
}

/// A word, or a sign of punctuation; `::` is one.
struct Token {
    text: String,
    line: usize,
}

impl Source {
    fn new(path: &str, text: &str) -> Self {
        let module = path.trim_end_matches(".rs").trim_end_matches("/mod").split('/');
        let (tokens, comments) = tokens(text);
        Self { path: path.to_owned(), module: module.map(str::to_owned).collect(), tokens, comments }
    }

    fn top(&self) -> &str {
        &self.module[0]
    }

    fn at(&self, line: usize, what: &str) -> String {
        format!("src/{}:{line}: {what}", self.path)
    }

    /// The modules at the top that its paths lead to, each with the first line where one does.
    fn used(&self) -> BTreeMap<String, usize> {
        let mut used = BTreeMap::new();
        // The modules that are open at this place; a block that is none stands as an empty name.
        let mut open: Vec<&str> = Vec::new();
        for (at, token) in self.tokens.iter().enumerate() {
            let before = |back: usize| at.checked_sub(back).map_or("", |it| self.tokens[it].text.as_str());
            match token.text.as_str() {
                "{" => open.push(if before(2) == "mod" { before(1) } else { "" }),
                "}" => drop(open.pop()),
                "crate" | "super" | "self" | "lockkeeper" if before(1) != "::" => {
                    let depth = self.module.len() + open.iter().filter(|name| !name.is_empty()).count();
                    for (name, line) in self.behind_root(at, depth) {
                        used.entry(name).or_insert(line);
                    }
                }
                _ => {}
            }
        }
        used
    }

    /// What follows the root of the crate in the path that begins here, if it gets there.
    fn behind_root(&self, mut at: usize, mut depth: usize) -> BTreeSet<(String, usize)> {
        match self.tokens[at].text.as_str() {
            "super" => depth -= 1,
            "self" => {}
            _ => depth = 0,
        }
        while self.text(at + 1) == "::" && self.text(at + 2) == "super" {
            depth = depth.saturating_sub(1);
            at += 2;
        }
        let leads_out = depth == 0 && self.text(at + 1) == "::";
        if leads_out { self.heads(at + 2) } else { BTreeSet::new() }
    }

    /// The first names behind this place: one, or those of a group.
    fn heads(&self, at: usize) -> BTreeSet<(String, usize)> {
        let head = |at: usize| (self.text(at).to_owned(), self.tokens[at].line);
        if self.text(at) != "{" {
            return [head(at)].into();
        }
        let mut heads = BTreeSet::new();
        let mut depth = 0_usize;
        for next in at..self.tokens.len() {
            match self.text(next) {
                "{" => depth += 1,
                "}" => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                break;
            }
            if depth == 1 && matches!(self.text(next), "{" | ",") && self.text(next + 1) != "}" {
                heads.insert(head(next + 1));
            }
        }
        heads
    }

    fn text(&self, at: usize) -> &str {
        self.tokens.get(at).map_or("", |token| &token.text)
    }
}

/// The words and signs of a text, and beside them its comments. Texts and characters in quotes are left out.
fn tokens(text: &str) -> (Vec<Token>, String) {
    let (mut tokens, mut comments) = (Vec::new(), String::new());
    let (mut rest, mut line) = (text, 1);
    while let Some(first) = rest.chars().next() {
        let length = length_of_next(rest, first);
        let (piece, behind) = rest.split_at(length);
        if piece.starts_with("//") {
            comments.push_str(piece);
        } else if is_word(first) && !piece.contains('"') || !"\"'".contains(first) && !first.is_whitespace() {
            tokens.push(Token { text: piece.to_owned(), line });
        }
        line += piece.matches('\n').count();
        rest = behind;
    }
    (tokens, comments)
}

fn length_of_next(rest: &str, first: char) -> usize {
    let until =
        |end: &str, from: usize| rest[from..].find(end).map_or(rest.len(), |at| from + at + end.len());
    let word = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
    let hashes = rest[word..].len() - rest[word..].trim_start_matches('#').len();
    match first {
        '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
        '/' if rest.starts_with("/*") => until("*/", 2),
        '"' => end_of_text(rest, 1),
        'r' | 'b' if matches!(&rest[..word], "r" | "br") && rest[word + hashes..].starts_with('"') => {
            until(&format!("\"{}", "#".repeat(hashes)), word + hashes + 1)
        }
        'b' if rest.starts_with("b\"") => end_of_text(rest, 2),
        '\'' if rest.starts_with("'\\") => until("'", 3),
        // A lifetime has no second quote behind its first letter.
        '\'' if rest.chars().nth(2) == Some('\'') => {
            rest.char_indices().nth(3).map_or(rest.len(), |(at, _)| at)
        }
        ':' if rest.starts_with("::") => 2,
        _ if is_word(first) => word,
        _ => first.len_utf8(),
    }
}

/// Where a text in quotes ends that began before this place.
fn end_of_text(rest: &str, from: usize) -> usize {
    let mut escaped = false;
    for (at, byte) in rest.bytes().enumerate().skip(from) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}
