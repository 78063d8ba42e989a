//! Reads a table key by key, and complains about every key that nobody asked for.

use super::{
    meant,
    problems::{Complaints, Origin, Wrong},
    written::{Raw, Table, Written, from_json},
};

/// A table that is being read.
pub(super) struct Section<'a> {
    path: String,
    home: &'a Origin,
    entries: Option<&'a Table>,
    known: Vec<&'static str>,
    complaints: &'a Complaints,
}

impl<'a> Section<'a> {
    /// A table by the path that people know it by; anything else is complained about, and reads as empty.
    pub(super) fn new(path: impl Into<String>, written: &'a Written, complaints: &'a Complaints) -> Self {
        let path = path.into();
        let entries = match &written.raw {
            Raw::Table(entries) => Some(entries),
            Raw::Text(_)
            | Raw::Loose(_)
            | Raw::Integer(_)
            | Raw::Boolean(_)
            | Raw::List(_)
            | Raw::Other(_) => {
                let wrong = format!("is {}, where a table of keys belongs", written.kind());
                complaints.add(
                    &written.origin,
                    &path,
                    None,
                    Wrong::new(wrong, "set the keys in it one by one"),
                );
                None
            }
        };
        Self { path, home: &written.origin, entries, known: Vec::new(), complaints }
    }

    /// Where the table begins.
    pub(super) fn home(&self) -> &'a Origin {
        self.home
    }

    /// What people know the table by.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// What people know this key by.
    pub(super) fn name_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.into() } else { format!("{}.{key}", self.path) }
    }

    /// What was written for a key.
    pub(super) fn get(&mut self, key: &'static str) -> Option<&'a Written> {
        if !self.known.contains(&key) {
            self.known.push(key);
        }
        self.entries?.get(key)
    }

    /// The value of a key; `None` if it is absent, or wrong and complained about.
    pub(super) fn take<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&Written) -> Result<T, Wrong>,
    ) -> Option<T> {
        let written = self.get(key)?;
        judge(read(written), written, &self.name_of(key), self.complaints)
    }

    /// The value of a key that must be there.
    pub(super) fn demand<T>(
        &mut self,
        key: &'static str,
        mend: &str,
        read: impl FnOnce(&Written) -> Result<T, Wrong>,
    ) -> Option<T> {
        let there = self.entries.is_none_or(|entries| entries.contains_key(key));
        if !there {
            self.complain(self.home, &self.name_of(key), Wrong::new("is missing", mend));
        }
        self.take(key, read)
    }

    /// The values of a list; each wrong one is complained about by itself.
    pub(super) fn list<T>(
        &mut self,
        key: &'static str,
        read: impl Fn(&Written) -> Result<T, Wrong>,
    ) -> Option<Vec<T>> {
        let written = self.get(key)?;
        let name = self.name_of(key);
        let items = judge(items(written), written, &name, self.complaints)?;
        let read = |(index, item): (usize, &Written)| {
            judge(read(item), item, &format!("{name}[{}]", index + 1), self.complaints)
        };
        Some(items.iter().enumerate().filter_map(read).collect())
    }

    /// What a table inside this one makes of itself; an absent one reads as empty.
    pub(super) fn within<T>(&mut self, key: &'static str, read: impl FnOnce(&mut Section<'_>) -> T) -> T {
        let empty = Written::empty_table(self.home.clone());
        let written = self.get(key).unwrap_or(&empty);
        let mut section = Section::new(self.name_of(key), written, self.complaints);
        let result = read(&mut section);
        section.finish();
        result
    }

    /// Every key and its value, of a table whose keys are the reader's own.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&'a str, &'a Written)> {
        self.entries.into_iter().flatten().map(|(key, value)| (key.as_str(), value))
    }

    pub(super) fn complain(&self, origin: &Origin, key: &str, wrong: Wrong) {
        self.complaints.add(origin, key, None, wrong);
    }

    /// Complains about every key that was not asked for. Their values are not shown: they could be anything.
    pub(super) fn finish(self) {
        for (key, value) in self.entries().filter(|(key, _)| !self.known.contains(key)) {
            let mend = meant::mend(&self.path, key, &self.known, &value.origin);
            self.complain(&value.origin, &self.name_of(key), Wrong::new("is no setting", mend));
        }
    }
}

/// The items of a list. In an environment variable a list is JSON, or separated by commas.
pub(super) fn items(written: &Written) -> Result<Vec<Written>, Wrong> {
    match &written.raw {
        Raw::List(items) => Ok(items.clone()),
        Raw::Loose(text) if text.trim_start().starts_with('[') => match serde_json::from_str(text) {
            Ok(serde_json::Value::Array(items)) => {
                Ok(items.into_iter().map(|item| from_json(&written.origin, item)).collect())
            }
            Ok(_) | Err(_) => {
                Err(Wrong::new("begins as a JSON list and is none", r#"write ["a", "b"], or a,b"#))
            }
        },
        Raw::Loose(text) => {
            let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
            Ok(parts.map(|part| Written::new(written.origin.clone(), Raw::Loose(part.into()))).collect())
        }
        Raw::Text(_) | Raw::Integer(_) | Raw::Boolean(_) | Raw::Table(_) | Raw::Other(_) => Err(Wrong::new(
            format!("is {}, where a list belongs", written.kind()),
            r#"write it as ["a", "b"]"#,
        )),
    }
}

fn judge<T>(result: Result<T, Wrong>, written: &Written, name: &str, complaints: &Complaints) -> Option<T> {
    result.map_err(|wrong| complaints.add(&written.origin, name, written.shown(), wrong)).ok()
}
