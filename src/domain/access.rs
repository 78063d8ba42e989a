//! Who may do what over HTTP.

use std::{path::PathBuf, sync::Arc};

/// What the bearer of a token may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// See.
    Read,
    /// See, and ask for changes.
    Operate,
}

impl Role {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Operate => "operate",
        }
    }
}

/// Who may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reads {
    /// Everybody who gets to the listener.
    Open,
    /// Who bears a token.
    Token,
}

/// A token that is taken: whose it is, and where it is kept. Never the token itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRule {
    /// What its bearer is called in logs, and in what is asked for with it.
    pub name: Arc<str>,
    /// What its bearer may do.
    pub role: Role,
    /// Where it is.
    pub kept: TokenPlace,
}

/// Where a token is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenPlace {
    /// In the environment variable of this name.
    Env(String),
    /// In this file, one in each line.
    File(PathBuf),
}
